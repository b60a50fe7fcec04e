/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "command.h"

static espat_t e;
static espat_request_t request;

static espat_result_t nothing(espat_t *m)
{
    (void)m;
    return ESPAT_OK;
}

static espat_result_t nothing_set(espat_t *m, espat_args_t *a)
{
    (void)m;
    (void)a;
    return ESPAT_OK;
}

static const espat_cmd_t first[] = {
    { ESPAT_NAME(""), .exec = nothing },
    { ESPAT_NAME("E0"), .exec = nothing },
    { ESPAT_NAME("+ALL"), .test = nothing, .query = nothing, .set = nothing_set, .exec = nothing },
};
static const espat_cmd_t second[] = {
    { ESPAT_NAME("+SET"), .set = nothing_set, .cur_def = true },
    { ESPAT_NAME("+OWN_CUR"), .query = nothing },
    { ESPAT_NAME("+A-1.B/C:D_E!F%"), .exec = nothing },
};
static const espat_family_t one = ESPAT_FAMILY(first), two = ESPAT_FAMILY(second);
static const espat_family_t *const families[] = { &one, &two };

/* A line as it stands when its LF came. */
static bool parse(const char *text)
{
    const espat_config_t config = { 0 };
    espat_init(&e, &config);
    e.line.size = (uint16_t)(strlen(text) + 1);
    memcpy(e.line.text, text, strlen(text));
    e.line.text[strlen(text)] = '\r';
    return espat_command_parse(&e, families, 2, &request);
}

static void assert_parsed(const char *text, const espat_cmd_t *cmd, espat_form_t form)
{
    if (!parse(text)) fail_msg("refused: %s", text);
    assert_ptr_equal(request.cmd, cmd);
    assert_int_equal(request.form, form);
}

static void assert_refused(const char *text, uint32_t code)
{
    if (parse(text)) fail_msg("taken: %s", text);
    assert_int_equal(e.job.code, code);
}

static void test_forms(void **state)
{
    (void)state;
    assert_parsed("AT", &first[0], ESPAT_FORM_EXEC);
    assert_parsed("ATE0", &first[1], ESPAT_FORM_EXEC);
    assert_parsed("AT+ALL", &first[2], ESPAT_FORM_EXEC);
    assert_parsed("AT+ALL?", &first[2], ESPAT_FORM_QUERY);
    assert_parsed("AT+ALL=?", &first[2], ESPAT_FORM_TEST);
    assert_parsed("AT+ALL=", &first[2], ESPAT_FORM_SET);
    assert_parsed("AT+ALL=1,2", &first[2], ESPAT_FORM_SET);
    assert_parsed("AT+A-1.B/C:D_E!F%", &second[2], ESPAT_FORM_EXEC);
}

static void test_set_hands_over_the_rest(void **state)
{
    (void)state;
    assert_parsed("AT+ALL=1,\"x\"", &first[2], ESPAT_FORM_SET);
    assert_int_equal(espat_args_u32(&request.args, 0, 9), 1);
    assert_string_equal(espat_args_text(&request.args, 0, 9), "x");
    assert_true(espat_args_end(&request.args));
}

/* Small letters are capitals, in the name that answers begin with too. */
static void test_case(void **state)
{
    (void)state;
    assert_parsed("at+all?", &first[2], ESPAT_FORM_QUERY);
    assert_string_equal(e.job.name, "+ALL");
    assert_parsed("aTe0", &first[1], ESPAT_FORM_EXEC);
}

static void test_no_at(void **state)
{
    static const char *const rows[] = { "", "A", "T", "AX", "XT", " AT", "+ALL", "TA" };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_refused(rows[i], 0x01030000);
    e.line.size = 0;
    assert_false(espat_command_parse(&e, families, 2, &request));
    assert_int_equal(e.job.code, 0x01030000);
    e.line.too_long = true;
    assert_false(espat_command_parse(&e, families, 2, &request));
    assert_int_equal(e.job.code, 0x01030000);
}

static void test_unknown(void **state)
{
    static const char *const rows[] = {
        "AT+",
        "AT+AL",
        "AT+ALLX",
        "ATX",
        "AT+ALL ",
        "AT+ALL?1",
        "AT+ALL=?1",
        "AT+ALL\n",
        "AT++ALL",
        "AT+ALL;1",
        "AT ",
        "AT,",
        "AT+ALL\x7f",
        "AT+ALL\xff",
        "AT+THIS-NAME-IS-LONGER-THAN-ANY-COMMAND",
        "AT+THIS-NAME-IS-LONGER-THAN-ANY-COMMAND?",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_refused(rows[i], 0x01090000);
}

/* A known command without the form has no code. */
static void test_form_that_it_has_not(void **state)
{
    (void)state;
    assert_refused("AT?", 0);
    assert_refused("AT=?", 0);
    assert_refused("AT=1", 0);
    assert_refused("AT+SET", 0);
    assert_refused("AT+SET?", 0);
    assert_refused("AT+SET=?", 0);
}

static void test_cur_and_def(void **state)
{
    (void)state;
    assert_parsed("AT+SET=1", &second[0], ESPAT_FORM_SET);
    assert_int_equal(e.job.keep, ESPAT_KEEP_BY_SYSSTORE);
    assert_parsed("AT+SET_CUR=1", &second[0], ESPAT_FORM_SET);
    assert_int_equal(e.job.keep, ESPAT_KEEP_NEVER);
    assert_string_equal(e.job.name, "+SET_CUR");
    assert_parsed("AT+SET_DEF=1", &second[0], ESPAT_FORM_SET);
    assert_int_equal(e.job.keep, ESPAT_KEEP_ALWAYS);
    assert_parsed("AT+OWN_CUR?", &second[1], ESPAT_FORM_QUERY);
    assert_int_equal(e.job.keep, ESPAT_KEEP_BY_SYSSTORE);
    assert_refused("AT+ALL_CUR?", 0x01090000);
    assert_refused("AT+SET_XXX=1", 0x01090000);
    assert_refused("AT+OWN?", 0x01090000);
    assert_refused("AT_CUR", 0x01090000);
    assert_refused("AT+SET_CUR_CUR=1", 0x01090000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),       cmocka_unit_test(test_set_hands_over_the_rest),
        cmocka_unit_test(test_case),        cmocka_unit_test(test_no_at),
        cmocka_unit_test(test_unknown),     cmocka_unit_test(test_form_that_it_has_not),
        cmocka_unit_test(test_cur_and_def),
    };
    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
