#include "common/service/interceptors.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"

#include <stdlib.h>
#include <string.h>

static int64_t lasted_ms(const struct request *request)
{
	return clock_now_ms() - request->arrived_ms;
}

/* ---- log lines ---- */

enum { PATH_MAX_BYTES = 128 }; /* of a caller's path in a line */

static void path_word(const struct request *request, char word[PATH_MAX_BYTES])
{
	const char *path = request->path;

	if (!path && request->method)
		path = request->method->name;
	text_word(path ? path : "call", word, PATH_MAX_BYTES);
}

static void log_end(struct log *log, enum log_level level, const struct request *request,
	enum outcome outcome, const char *details)
{
	long long ms = lasted_ms(request);
	char path[PATH_MAX_BYTES];

	if (!log_enabled(log, level))
		return;
	path_word(request, path);
	log_line(log, level, "%s: %s: %s%s%s after %lld ms", request->peer->text, path,
		outcome_name(outcome), *details ? ": " : "", details, ms);
}

static void log_refused(struct log *log, enum log_level level, const struct request *request,
	enum outcome outcome, const char *details)
{
	char path[PATH_MAX_BYTES];

	if (!log_enabled(log, level))
		return;
	path_word(request, path);
	log_line(log, level, "%s: %s refused: %s: %s", request->peer->text, path,
		outcome_name(outcome), details);
}

static void info_end(void *arg, struct request *request, enum outcome outcome, const char *details)
{
	log_end(arg, LOG_LEVEL_INFO, request, outcome, details);
}

static void info_refused(
	void *arg, const struct request *request, enum outcome outcome, const char *details)
{
	log_refused(arg, LOG_LEVEL_INFO, request, outcome, details);
}

static void debug_end(void *arg, struct request *request, enum outcome outcome, const char *details)
{
	log_end(arg, LOG_LEVEL_DEBUG, request, outcome, details);
}

static void debug_refused(
	void *arg, const struct request *request, enum outcome outcome, const char *details)
{
	log_refused(arg, LOG_LEVEL_DEBUG, request, outcome, details);
}

struct interceptor log_interceptor(struct log *log, enum log_level level)
{
	if (level == LOG_LEVEL_DEBUG)
		return (struct interceptor){.end = debug_end, .refused = debug_refused, .arg = log};
	return (struct interceptor){.end = info_end, .refused = info_refused, .arg = log};
}

/* ---- numbers ---- */

/* The row of a request, a new one if there is none; NULL on no memory. */
static struct metrics_row *metrics_row(
	struct metrics *metrics, const struct request *request, enum outcome outcome)
{
	struct metrics_row *v;

	for (size_t i = 0; i < metrics->n; i++) {
		v = &metrics->v[i];
		if (v->service == request->service && v->method == request->method &&
			v->outcome == outcome)
			return v;
	}
	v = reallocarray(metrics->v, metrics->n + 1, sizeof *v);
	if (!v)
		return NULL;
	metrics->v = v;
	v[metrics->n] = (struct metrics_row){
		.service = request->service, .method = request->method, .outcome = outcome};
	return &v[metrics->n++];
}

static void metrics_begin(void *arg, struct request *request)
{
	((struct metrics *)arg)->at_work++;
	request_proceed(request);
}

static void metrics_refused(
	void *arg, const struct request *request, enum outcome outcome, const char *details)
{
	struct metrics_row *row = metrics_row(arg, request, outcome);

	(void)details;
	if (row)
		row->n++;
}

static void metrics_end(
	void *arg, struct request *request, enum outcome outcome, const char *details)
{
	struct metrics *metrics = arg;
	struct metrics_row *row = metrics_row(metrics, request, outcome);
	int64_t ms = lasted_ms(request);

	(void)details;
	metrics->at_work--;
	if (!row)
		return;
	row->n++;
	row->total_ms += ms;
	if (ms > row->longest_ms)
		row->longest_ms = ms;
}

struct interceptor metrics_interceptor(struct metrics *metrics)
{
	return (struct interceptor){.begin = metrics_begin,
		.end = metrics_end,
		.refused = metrics_refused,
		.arg = metrics};
}

void metrics_log(
	const struct metrics *metrics, struct log *log, enum log_level level, const char *head)
{
	auto_(text_done) struct text text = {0};

	if (metrics->n == 0 || !log_enabled(log, level))
		return;
	for (size_t i = 0; i < metrics->n; i++) {
		const struct metrics_row *row = &metrics->v[i];

		if (text_printf(&text, "%s%s %s n=%llu ms=%lld longest_ms=%lld", i ? "; " : "",
			    row->method ? row->method->name : "(none)", outcome_name(row->outcome),
			    (unsigned long long)row->n, (long long)row->total_ms,
			    (long long)row->longest_ms) < 0)
			return;
	}
	log_line(log, level, "%s: %s", head, text.data);
}

void metrics_done(struct metrics *metrics)
{
	free(metrics->v);
	*metrics = (struct metrics){0};
}

/* ---- a token ---- */

/* Compare; the time that it takes depends on the length of given alone. */
static bool same_token(const char *given, const char *value)
{
	size_t len = strlen(value);
	unsigned char differs = strlen(given) != len;

	for (size_t i = 0; given[i]; i++)
		differs |= (unsigned char)(given[i] ^ value[len ? i % len : 0]);
	return !differs;
}

static void token_begin(void *arg, struct request *request)
{
	const struct token_check *check = arg;
	const char *given = request_header(request, check->header);

	if (given && same_token(given, check->value))
		request_proceed(request);
	else
		request_fail(request, OUTCOME_UNAUTHENTICATED, "the token is missing or wrong");
}

struct interceptor token_interceptor(const struct token_check *check)
{
	return (struct interceptor){.begin = token_begin, .arg = (void *)(uintptr_t)check};
}
