/* SPDX-License-Identifier: MIT */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "signature.h"

/* NULL: *why says why. */
static EVP_PKEY *read_key(const char *path, const char **why)
{
    FILE *file = fopen(path, "re");
    *why = "the key's file cannot be read";
    if (!file) return NULL;
    EVP_PKEY *key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
    (void)fclose(file);
    *why = "the key's file holds no public Ed25519 key in PEM";
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) return key;
    EVP_PKEY_free(key);
    return NULL;
}

const char *espat_signature_check(const char *key_file, const uint8_t signature[ESPAT_SIGNATURE_BYTES],
                                  const uint8_t *p, size_t size)
{
    const char *why = NULL;
    EVP_PKEY *key = read_key(key_file, &why);
    EVP_MD_CTX *context = key ? EVP_MD_CTX_new() : NULL;
    if (context) {
        why = EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                      EVP_DigestVerify(context, signature, ESPAT_SIGNATURE_BYTES, p, size) == 1
                  ? NULL
                  : "the signature is wrong";
    } else if (key) {
        why = "no memory";
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    OPENSSL_thread_stop(); /* the error queue, too: a worker thread would leave it behind when the process ends */
    return why;
}
