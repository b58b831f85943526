/*
 * form_layout: the numbers of the app form (docs/app-form.md), for a worker and for the native
 * host. Any thread.
 */
#ifndef FLWR_FORM_FORM_LAYOUT_H
#define FLWR_FORM_FORM_LAYOUT_H

#include "common/base/value.h"
#include "common/records/records.h"

#include <assert.h>
#include <stdint.h>

#define APP_FORM_VERSION 4 /* both ends must agree; an app process says its own in its hello */
#define FORM_MAGIC       "FLWA"
#define FORM_ALIGN       64 /* of an array's bytes in the file */

enum form_content { FORM_TASK = 1, FORM_REPLY = 2 };

/* First words of a reply. */
enum form_outcome { FORM_OUTCOME_CONTENT, FORM_OUTCOME_ERROR, FORM_OUTCOME_N };

/* How every file begins; all numbers are little endian. */
struct form_header {
	char magic[4];
	uint16_t version;
	uint16_t content;    /* enum form_content */
	uint64_t head_start; /* offset of the head: before the array bytes, or behind them */
	uint64_t head_bytes;
	uint64_t data_start; /* offset of the array bytes, aligned */
};

/* Head of a message over the socket; its text follows. */
enum form_datagram_type {
	FORM_HELLO = 1,
	FORM_GIVE_TASK = 2,
	FORM_GIVE_REPLY = 3,
	FORM_FAILURE = 4 /* there is a reply, but it cannot be written */
};

#define FORM_TEXT_MAX 65536 /* bytes of a datagram's text */

struct form_datagram {
	uint32_t type;
	uint32_t version;
	uint64_t number; /* hello: pid; task: bytes of its file; reply: bytes of its file */
	uint32_t code;   /* hello: 0, or the error code of why no app can run here; failure: that of
			    the reply */
	uint32_t text_len;
};

static_assert(sizeof(struct form_datagram) == 24, "neither has a datagram");
static_assert(sizeof(struct form_header) == 32, "the header has no padding");
static_assert(VALUE_DOUBLE == 1 && VALUE_BYTES == 6 && VALUE_BYTES_LIST == 12,
	"kinds of values are written as these numbers");
static_assert(
	RECORD_ARRAYS == 0 && RECORD_METRICS == 1 && RECORD_CONFIGS == 2, "kinds of records too");

#endif
