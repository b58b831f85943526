/*
 * interceptor: functions of a channel that look at each of its calls: they may add headers before
 * it starts, and are told how it ended. Main thread. They see no message.
 */
#ifndef FLWR_RPC_INTERCEPTOR_H
#define FLWR_RPC_INTERCEPTOR_H

#include "common/base/log.h"
#include "common/rpc/channel.h"

struct rpc_call_info {
	const char *path;   /* "/flwr.proto.Fleet/Ping" */
	int64_t timeout_ms; /* 0: none */
	bool streams;       /* started by rpc_stream_start() */
};

/* Messages in both directions, and their bytes before compression. */
struct rpc_call_traffic {
	uint64_t sent, sent_bytes;
	uint64_t received, received_bytes;
	int64_t took_ms;
};

struct rpc_interceptor {
	/* Before a call: 0; -errno: the call does not start, and its start returns that. May be
	 * NULL. */
	int (*starting)(void *arg, const struct rpc_call_info *call, struct rpc_headers *headers);
	/* After a call, before its caller is told; CANCELLED when a later interceptor, or gRPC, has
	 * let none start. May be NULL. */
	void (*ended)(void *arg, const struct rpc_call_info *call, const struct rpc_end *end,
		const struct rpc_call_traffic *traffic);
	void *arg; /* borrowed until gone() */
	/* The channel is gone with its calls: nothing reads arg any more. Not of a channel that
	 * could not be made. May be NULL. */
	void (*gone)(void *arg);
};

/*
 * A line for each call that failed, of level failed: LOG_LEVEL_WARN, and then a line of level debug
 * for each one that succeeded; or LOG_LEVEL_DEBUG, where callers tell of failures and there are
 * many calls, and then none for others. log is borrowed.
 */
struct rpc_interceptor rpc_log_calls(struct log *log, enum log_level failed);

/* Numbers of the calls of one or several channels. Zero-initialised is none. */
struct rpc_metrics {
	uint64_t started;
	uint64_t ended[OUTCOME_N];
	struct rpc_call_traffic traffic; /* the sums */
};

struct rpc_interceptor rpc_count_calls(struct rpc_metrics *metrics);
/* One line: head, then the numbers. Without calls: none. */
void rpc_metrics_log(
	const struct rpc_metrics *metrics, struct log *log, enum log_level level, const char *head);

/* Show header with each call: a token, say. It is borrowed, and may change between calls; without a
 * key nothing is shown. */
struct rpc_interceptor rpc_show_header(const struct rpc_header *header);

#endif
