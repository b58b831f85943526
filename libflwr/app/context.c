/*
 * context: log lines, progress and stopping, for whoever has a context. Any thread.
 */
#include "libflwr/app/call_internal.h"
#include "libflwr/app/dict.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_BYTES_MAX 8192

void context_init(
	struct call_context *context, const struct context_hooks *hooks, void *arg, int log_level)
{
	*context = (struct call_context){.mark = &library_mark,
		.hooks = hooks,
		.arg = arg,
		.log_level = log_level ? log_level : FLWR_LOG_INFO};
}

/* The context of whom a handler's pointer is, when hooks are there; else NULL. */
static const struct call_context *context_of(const struct flwr_context *context)
{
	const struct call_context *whole = (const struct call_context *)(const void *)context;

	return whole && whole->mark == &library_mark && whole->hooks ? whole : NULL;
}

/* Append text as one line: what cannot be shown is escaped. 0 or -ENOMEM. */
static int add_line(struct text *line, const char *text)
{
	size_t left = strlen(text);
	int r = 0;

	while (r == 0 && left && line->len < LINE_BYTES_MAX) {
		size_t n = text_shown(text, left);

		if (n)
			r = text_add(line, text, n);
		else if (*text == '\n' || *text == '\t')
			r = text_add(line, *text == '\n' ? "\\n" : "\\t", 2);
		else
			r = text_printf(line, "\\x%02x", (unsigned char)*text);
		text += n ? n : 1;
		left -= n ? n : 1;
	}
	return r;
}

/* The line for a hook, NUL-terminated; "" on no memory. */
static const char *one_line(struct text *line, const char *text)
{
	if (add_line(line, text) < 0 || line->len == 0)
		return line->len ? line->data : "";
	text_cut(line->data, LINE_BYTES_MAX);
	return line->data;
}

static const struct call_context *logs_at(const struct flwr_context *context, int level)
{
	const struct call_context *whole = context_of(context);

	return whole && whole->hooks->log && level <= whole->log_level ? whole : NULL;
}

void flwr_log(struct flwr_context *context, enum flwr_level level, const char *line)
{
	const struct call_context *whole = logs_at(context, (int)level);
	auto_(text_done) struct text text = {0};

	if (whole && line)
		whole->hooks->log(whole->arg, (int)level, one_line(&text, line));
}

void flwr_logf(struct flwr_context *context, enum flwr_level level, const char *format, ...)
{
	auto_(free_at_exit) char *line = NULL;
	va_list args;
	int len;

	if (!logs_at(context, (int)level))
		return;
	va_start(args, format);
	len = vasprintf(&line, format, args);
	va_end(args);
	if (len < 0)
		line = NULL; /* it is undefined then */
	flwr_log(context, level, line ? line : format);
}

void flwr_progress(struct flwr_context *context, double fraction, const char *text)
{
	const struct call_context *whole = context_of(context);
	auto_(text_done) struct text line = {0};

	if (!whole || !whole->hooks->progress)
		return;
	if (!(fraction >= 0)) /* NaN, too */
		fraction = 0;
	whole->hooks->progress(
		whole->arg, fraction < 1 ? fraction : 1, one_line(&line, text ? text : ""));
}

bool flwr_stopping(const struct flwr_context *context)
{
	const struct call_context *whole = context_of(context);

	return whole && whole->hooks->stopping && whole->hooks->stopping(whole->arg);
}

void flwr_log_to_stderr(int level, double time_s, const char *line, void *user)
{
	static const char *const names[] = {"?", "ERROR", "WARN", "INFO", "DEBUG"};
	const int known = level > 0 && level < (int)ARRAY_LEN(names) ? level : 0;
	const time_t seconds = (time_t)time_s;
	struct tm now = {0};

	(void)user;
	localtime_r(&seconds, &now);
	fprintf(stderr, "%02d:%02d:%02d.%03d %-5s %s\n", now.tm_hour, now.tm_min, now.tm_sec,
		(int)((time_s - (double)seconds) * 1000), names[known], line);
}
