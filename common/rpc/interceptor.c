/*
 * interceptor: the three that programs have in common.
 */
#include "common/rpc/interceptor.h"

#include "common/base/text.h"
#include "common/rpc/status.h"

#include <inttypes.h>
#include <string.h>

static void log_call(struct log *log, enum log_level level, const struct rpc_call_info *call,
	const struct rpc_end *end, const struct rpc_call_traffic *traffic)
{
	char quoted[256];

	if (!log_enabled(log, level))
		return;
	text_quote(end->details, strlen(end->details), quoted, sizeof quoted);
	log_line(log, level,
		"call %s: %s took_ms=%" PRId64 " sent=%" PRIu64 " bytes=%" PRIu64
		" received=%" PRIu64 " bytes=%" PRIu64 " details=%s",
		call->path, rpc_status_name(end->status), traffic->took_ms, traffic->sent,
		traffic->sent_bytes, traffic->received, traffic->received_bytes, quoted);
}

static void warn_ended(void *arg, const struct rpc_call_info *call, const struct rpc_end *end,
	const struct rpc_call_traffic *traffic)
{
	log_call(arg, end->outcome == OUTCOME_OK ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, call, end,
		traffic);
}

static void debug_ended(void *arg, const struct rpc_call_info *call, const struct rpc_end *end,
	const struct rpc_call_traffic *traffic)
{
	if (end->outcome != OUTCOME_OK)
		log_call(arg, LOG_LEVEL_DEBUG, call, end, traffic);
}

struct rpc_interceptor rpc_log_calls(struct log *log, enum log_level failed)
{
	return (struct rpc_interceptor){
		.ended = failed == LOG_LEVEL_DEBUG ? debug_ended : warn_ended, .arg = log};
}

static int count_starting(void *arg, const struct rpc_call_info *call, struct rpc_headers *headers)
{
	struct rpc_metrics *metrics = arg;

	(void)call;
	(void)headers;
	metrics->started++;
	return 0;
}

static void count_ended(void *arg, const struct rpc_call_info *call, const struct rpc_end *end,
	const struct rpc_call_traffic *traffic)
{
	struct rpc_metrics *metrics = arg;
	struct rpc_call_traffic *sum = &metrics->traffic;

	(void)call;
	metrics->ended[end->outcome]++;
	sum->sent += traffic->sent;
	sum->sent_bytes += traffic->sent_bytes;
	sum->received += traffic->received;
	sum->received_bytes += traffic->received_bytes;
	sum->took_ms += traffic->took_ms;
}

struct rpc_interceptor rpc_count_calls(struct rpc_metrics *metrics)
{
	return (struct rpc_interceptor){
		.starting = count_starting, .ended = count_ended, .arg = metrics};
}

void rpc_metrics_log(
	const struct rpc_metrics *metrics, struct log *log, enum log_level level, const char *head)
{
	const struct rpc_call_traffic *sum = &metrics->traffic;

	if (metrics->started == 0)
		return;
	log_line(log, level,
		"%s: calls=%" PRIu64 " ok=%" PRIu64 " took_ms=%" PRId64 " sent=%" PRIu64
		" bytes=%" PRIu64 " received=%" PRIu64 " bytes=%" PRIu64,
		head, metrics->started, metrics->ended[OUTCOME_OK], sum->took_ms, sum->sent,
		sum->sent_bytes, sum->received, sum->received_bytes);
}

static int show_starting(void *arg, const struct rpc_call_info *call, struct rpc_headers *headers)
{
	const struct rpc_header *header = arg;

	(void)call;
	return header->key ? rpc_headers_add(headers, *header) : 0;
}

struct rpc_interceptor rpc_show_header(const struct rpc_header *header)
{
	return (struct rpc_interceptor){
		.starting = show_starting, .arg = (void *)(uintptr_t)header};
}
