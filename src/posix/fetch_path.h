/* SPDX-License-Identifier: MIT */
/* Where espat-fetch is. */
#ifndef FETCH_PATH_H
#define FETCH_PATH_H

/* Names it when it is not where this program looks. */
#define ESPAT_FETCH_ENV "ESPAT_FETCH"

/* What the environment says; else beside this program, or in ../libexec/ from there. To be freed; NULL: it is nowhere. */
char *espat_fetch_path(void);

#endif
