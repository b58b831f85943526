/*
 * flower_error: the JSON that a server of Flower describes a refusal with: {code, detail} over HTTP
 * (1.40 and later), {code, public_message, public_details} as details of a gRPC status (1.33
 * - 1.39). Pure.
 */
#ifndef FLWR_HTTP_FLOWER_ERROR_H
#define FLWR_HTTP_FLOWER_ERROR_H

#include "common/base/text.h"

#include <stddef.h>

#define FLOWER_ERROR_MAX_BYTES 16384 /* more is not looked at */

/*
 * Its number to *code_out and its words appended to *words. When it is no such JSON both stay as
 * they are; so does what is not in it.
 */
void flower_error_read(const char *json, size_t len, int *code_out, struct text *words);

#endif
