/*
 * flower_answer: protobuf over HTTP/1.1 as Flower's servers speak it (Fleet API and Runtime): where
 * a method is, what an answer says. Pure.
 */
#ifndef FLWR_HTTP_FLOWER_ANSWER_H
#define FLWR_HTTP_FLOWER_ANSWER_H

#include "common/base/text.h"
#include "common/http/client.h"

#define FLOWER_CONTENT_TYPE "application/protobuf"
#define FLOWER_PATH_BYTES   128

/* "PullMessages" to "/v1/fleet/pull-messages", where prefix is "/v1/fleet/". 0, -EINVAL. */
int flower_path(const char *prefix, const char *method, char path[FLOWER_PATH_BYTES]);

/* Is it protobuf, and not the answer of a proxy or a portal? */
bool flower_is_answer(const struct http_result *result);

/*
 * Reads a whole answer: returns the outcome; Flower's number to *code_out, 0 when there was none;
 * words about a failure appended to *words (empty). The body of OUTCOME_OK stays where it is. A
 * status that the server itself never uses is that of a proxy before it, and is waited out:
 * UNAVAILABLE. refuses: the server checks who calls, so 401 (in JSON) and 403 (with a code) may be
 * its own.
 */
enum outcome flower_answer_read(
	const struct http_result *result, bool refuses, int *code_out, struct text *words);

#endif
