/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ring.h"

#define SIZE 8

/* A byte on each side of the memory tells of a write beyond it. */
static struct {
    uint8_t before, data[SIZE], after;
} memory;

static espat_ring_t r;

/* A ring whose oldest byte stands at `head`, with nothing in it or with what `text` holds. */
static void make(uint32_t head, const char *text)
{
    memset(&memory, '#', sizeof memory);
    espat_ring_init(&r, memory.data, SIZE);
    r.head = head;
    espat_ring_put(&r, text, (uint32_t)strlen(text));
}

/* Everything in the ring, from `from` on, as text. */
static const char *text_from(uint32_t from)
{
    static char out[SIZE + 1];
    espat_span_t pieces[2];
    size_t n = 0, count = espat_ring_vec(&r, from, r.used - from, pieces);
    for (size_t i = 0; i < count; i++) {
        assert_true(pieces[i].size > 0);
        assert_true(pieces[i].data >= memory.data && pieces[i].data + pieces[i].size <= memory.data + SIZE);
        memcpy(out + n, pieces[i].data, pieces[i].size);
        n += pieces[i].size;
    }
    out[n] = '\0';
    assert_int_equal(memory.before, '#');
    assert_int_equal(memory.after, '#');
    return out;
}

static void test_empty(void **state)
{
    espat_span_t pieces[2];
    (void)state;
    make(0, "");
    assert_int_equal(espat_ring_room(&r), SIZE);
    assert_int_equal(espat_ring_vec(&r, 0, 0, pieces), 0);
    assert_int_equal(espat_ring_room_vec(&r, espat_ring_room(&r), pieces), 1);
    assert_ptr_equal(pieces[0].data, memory.data);
    assert_int_equal(pieces[0].size, SIZE);
}

static void test_full_has_no_room(void **state)
{
    espat_span_t pieces[2];
    (void)state;
    for (uint32_t head = 0; head < SIZE; head++) {
        make(head, "abcdefgh");
        assert_int_equal(espat_ring_room(&r), 0);
        assert_int_equal(espat_ring_room_vec(&r, espat_ring_room(&r), pieces), 0);
        assert_string_equal(text_from(0), "abcdefgh");
        espat_ring_put(&r, "x", 0);
        assert_string_equal(text_from(0), "abcdefgh");
    }
}

/* From every place, every number of bytes goes in and comes out, round the end or not. */
static void test_put_and_take_at_every_place(void **state)
{
    (void)state;
    for (uint32_t head = 0; head < SIZE; head++) {
        for (uint32_t n = 0; n <= SIZE; n++) {
            char text[SIZE + 1] = "abcdefgh";
            text[n] = '\0';
            make(head, text);
            assert_int_equal(r.used, n);
            assert_int_equal(espat_ring_room(&r), SIZE - n);
            for (uint32_t from = 0; from <= n; from++)
                assert_string_equal(text_from(from), text + from);
            for (uint32_t taken = 1; taken <= n; taken++) {
                espat_ring_take(&r, 1);
                assert_string_equal(text_from(0), text + taken);
            }
        }
    }
}

static void test_two_pieces_meet_at_the_end(void **state)
{
    espat_span_t pieces[2];
    (void)state;
    make(6, "abcd");
    assert_int_equal(espat_ring_vec(&r, 0, 4, pieces), 2);
    assert_ptr_equal(pieces[0].data, memory.data + 6);
    assert_int_equal(pieces[0].size, 2);
    assert_ptr_equal(pieces[1].data, memory.data);
    assert_int_equal(pieces[1].size, 2);
    /* Exactly up to the end is one piece, and so is what begins behind it. */
    assert_int_equal(espat_ring_vec(&r, 0, 2, pieces), 1);
    assert_int_equal(espat_ring_vec(&r, 2, 2, pieces), 1);
    assert_ptr_equal(pieces[0].data, memory.data);
}

static void test_room_in_two_pieces_is_written_and_committed(void **state)
{
    espat_span_t pieces[2];
    (void)state;
    make(3, "abc"); /* free: 2 at the end, 3 at the beginning */
    assert_int_equal(espat_ring_room_vec(&r, espat_ring_room(&r), pieces), 2);
    assert_ptr_equal(pieces[0].data, memory.data + 6);
    assert_int_equal(pieces[0].size, 2);
    assert_ptr_equal(pieces[1].data, memory.data);
    assert_int_equal(pieces[1].size, 3);
    memcpy(pieces[0].data, "de", 2);
    memcpy(pieces[1].data, "f", 1);
    espat_ring_commit(&r, 3);
    assert_string_equal(text_from(0), "abcdef");
    assert_int_equal(espat_ring_room(&r), 2);
}

/* An empty ring begins anew, so that the next bytes lie in one piece. */
static void test_emptied_starts_at_the_front(void **state)
{
    espat_span_t pieces[2];
    (void)state;
    make(5, "abcd");
    espat_ring_take(&r, 3);
    assert_int_equal(r.head, 0);
    espat_ring_take(&r, 1);
    assert_int_equal(r.head, 0);
    make(5, "ab");
    espat_ring_take(&r, 2);
    assert_int_equal(espat_ring_room_vec(&r, espat_ring_room(&r), pieces), 1);
    assert_int_equal(pieces[0].size, SIZE);
}

static void test_keep_forgets_the_newest(void **state)
{
    (void)state;
    make(6, "abcdef");
    espat_ring_keep(&r, 3);
    assert_string_equal(text_from(0), "abc");
    assert_int_equal(espat_ring_room(&r), 5);
    espat_ring_put(&r, "xyz", 3);
    assert_string_equal(text_from(0), "abcxyz");
    espat_ring_keep(&r, 0);
    assert_int_equal(r.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_full_has_no_room),
        cmocka_unit_test(test_put_and_take_at_every_place),
        cmocka_unit_test(test_two_pieces_meet_at_the_end),
        cmocka_unit_test(test_room_in_two_pieces_is_written_and_committed),
        cmocka_unit_test(test_emptied_starts_at_the_front),
        cmocka_unit_test(test_keep_forgets_the_newest),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
