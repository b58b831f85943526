#include "supernode/link/over_grpc.h"

#include "common/base/cleanup.h"
#include "common/http/flower_error.h"
#include "common/rpc/call.h"
#include "common/rpc/interceptor.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A connection may hold some answers of the largest size that goes there. */
#define GRPC_SMALL_MEMORY_BYTES  (4 * TRANSPORT_SMALL_BYTES)
#define GRPC_MIDDLE_MEMORY_BYTES (3 * (uint64_t)TRANSPORT_MIDDLE_BYTES)
#define GRPC_ANSWER_MORE_BYTES   ((uint64_t)64 << 20)
#define GRPC_HEADERS_MAX         3

/* Numbers of all calls, for a log of level debug. Channels outlive the transport. */
struct grpc_numbers {
	struct rpc_metrics metrics;
	struct log *log;
	char head[128];
	unsigned users; /* the transport, its channels */
};

struct grpc_transport {
	struct transport transport;
	const struct over_grpc_form *form;
	struct rpc_channel *small, *middle, *large; /* by the size of the answers */
	struct grpc_numbers *numbers;               /* NULL: nobody reads them */
};

struct grpc_handle {
	struct transport_handle handle;
	struct rpc_call *call;
	const struct over_grpc_form *form;
	const char *method;
	bool keeps_head;
};

static struct grpc_transport *grpc_of(struct transport *transport)
{
	return container_of(transport, struct grpc_transport, transport);
}

static void numbers_unref(struct grpc_numbers *numbers)
{
	if (!numbers || --numbers->users > 0)
		return;
	rpc_metrics_log(&numbers->metrics, numbers->log, LOG_LEVEL_DEBUG, numbers->head);
	free(numbers);
}

static void numbers_gone(void *metrics)
{
	numbers_unref(container_of((struct rpc_metrics *)metrics, struct grpc_numbers, metrics));
}

/* NULL on no memory: it can be done without. */
static struct grpc_numbers *numbers_new(struct log *log, const char *address)
{
	struct grpc_numbers *numbers = calloc(1, sizeof *numbers);

	if (!numbers)
		return NULL;
	numbers->log = log;
	numbers->users = 1;
	snprintf(numbers->head, sizeof numbers->head, "calls to %s", address);
	return numbers;
}

/* gRPC's own words about an answer that is larger than the connection, or its memory, takes. */
static bool is_given_up(const struct rpc_result *from)
{
	static const char full[] = "Buffers full", larger[] = "Received message larger than max";

	return from->outcome == OUTCOME_RESOURCE_EXHAUSTED &&
	       (strcmp(from->details, full) == 0 ||
		       strncmp(from->details, larger, sizeof larger - 1) == 0);
}

static void grpc_done(void *arg, struct rpc_result *from)
{
	auto_(free_at_exit) struct grpc_handle *out = arg;
	auto_(text_done) struct text words = {0}, more = {0};
	struct transport_result result = {
		.outcome = from->outcome,
		.details = from->details,
		.body = from->body,
		/* In other calls the words may be the SuperLink's, about what it was sent. */
		.too_large = from->too_large || (out->keeps_head && is_given_up(from)),
	};

	from->body = (struct slices){0};
	flower_error_read(from->details, strlen(from->details), &result.code, &words);
	if (words.len)
		result.details = words.data;
	if (out->form->answer)
		out->form->answer(out->method, &result, &more);
	out->handle.done(out->handle.arg, &result);
	slices_done(&result.body);
}

static struct rpc_channel *channel_for(
	const struct grpc_transport *grpc, const struct transport_call *call)
{
	uint64_t bytes = call->answer_max_bytes > call->kind_max_bytes ? call->answer_max_bytes
								       : call->kind_max_bytes;

	if (bytes <= TRANSPORT_SMALL_BYTES && !call->what)
		return grpc->small;
	return bytes <= TRANSPORT_MIDDLE_BYTES ? grpc->middle : grpc->large;
}

static size_t set_headers(const struct transport_call *call, struct rpc_header *headers)
{
	size_t pem_len;
	const char *pem;

	if (!call->auth || !call->proof)
		return 0;
	pem = auth_public_key(call->auth, &pem_len);
	headers[0] = (struct rpc_header){"flwr-public-key-bin", pem, pem_len};
	headers[1] = (struct rpc_header){
		"flwr-timestamp", call->proof->timestamp, strlen(call->proof->timestamp)};
	headers[2] = (struct rpc_header){
		"flwr-signature-bin", call->proof->signature, call->proof->signature_len};
	return GRPC_HEADERS_MAX;
}

/* What is sent to path; body is empty afterwards, on failure too. */
static int make_request(const struct over_grpc_form *form, const char *method, struct slices *body,
	char path[OVER_GRPC_PATH_BYTES], struct slices *out)
{
	int r = snprintf(path, OVER_GRPC_PATH_BYTES, "%s%s", form->path,
			form->request ? "" : method) < OVER_GRPC_PATH_BYTES
			? 0
			: -EINVAL;

	if (!r && form->request) {
		r = form->request(method, body, out);
		slices_done(body);
	} else if (!r) {
		slices_move(out, body);
	}
	slices_done(body);
	return r;
}

static int grpc_call_start(struct transport *transport, const struct transport_call *call,
	struct slices *body, struct transport_handle **out)
{
	struct grpc_transport *grpc = grpc_of(transport);
	auto_(free_at_exit) struct grpc_handle *made = calloc(1, sizeof *made);
	auto_(slices_done) struct slices request = {0};
	struct rpc_header headers[GRPC_HEADERS_MAX];
	struct rpc_call_options options = {.headers = headers,
		.timeout_ms = call->timeout_ms,
		.answer_max_bytes = call->answer_max_bytes + grpc->form->more_bytes,
		.keeps_head = call->keeps_head,
		.what = call->what,
		.done = grpc_done,
		.arg = made};
	char path[OVER_GRPC_PATH_BYTES];
	int r = make_request(grpc->form, call->method, body, path, &request);

	if (!r && !made)
		r = -ENOMEM;
	if (r)
		return r;
	options.path = path;
	options.n_headers = set_headers(call, headers);
	made->form = grpc->form;
	made->method = call->method;
	made->keeps_head = call->keeps_head;
	made->handle.done = call->done;
	made->handle.arg = call->arg;
	r = rpc_call_start(channel_for(grpc, call), &options, &request, &made->call);
	if (r)
		return r;
	*out = &((struct grpc_handle *)take_pointer(&made))->handle;
	return 0;
}

static void grpc_cancel(struct transport_handle *handle)
{
	rpc_call_cancel(container_of(handle, struct grpc_handle, handle)->call);
}

static void grpc_reconnect(struct transport *transport)
{
	struct grpc_transport *grpc = grpc_of(transport);

	rpc_channel_reconnect_now(grpc->small);
	rpc_channel_reconnect_now(grpc->middle);
	rpc_channel_reconnect_now(grpc->large);
}

static void grpc_free(struct transport *transport)
{
	struct grpc_transport *grpc = grpc_of(transport);

	rpc_channel_free(grpc->small);
	rpc_channel_free(grpc->middle);
	rpc_channel_free(grpc->large);
	numbers_unref(grpc->numbers);
	free(grpc);
}

static void grpc_free_at_exit(struct grpc_transport **grpc)
{
	if (*grpc)
		grpc_free(&(*grpc)->transport);
}

static const struct transport_ops grpc_ops = {
	.call = grpc_call_start,
	.cancel = grpc_cancel,
	.reconnect = grpc_reconnect,
	.free = grpc_free,
};

/* One of the three channels. 0, -EINVAL, -ENOMEM. */
static int open_channel(struct rpc *rpc, const struct grpc_transport *grpc,
	const struct rpc_channel_options *wanted, struct rpc_channel **out)
{
	struct rpc_channel_options options = *wanted;
	struct grpc_numbers *numbers = grpc->numbers;
	struct rpc_interceptor interceptors[2];
	int r;

	if (numbers) {
		interceptors[0] = rpc_log_calls(options.log, LOG_LEVEL_DEBUG);
		interceptors[1] = rpc_count_calls(&numbers->metrics);
		interceptors[1].gone = numbers_gone;
		options.interceptors = interceptors;
		options.n_interceptors = ARRAY_LEN(interceptors);
	}
	r = rpc_channel_new(rpc, &options, out);
	if (r == 0 && numbers)
		numbers->users++;
	return r;
}

/* What is kept, and one answer more. One that is much larger than all that may be kept is given up
 * while it comes: what is a little larger comes whole, so that its sender can be told. */
static uint64_t large_memory(const struct transport_options *wanted)
{
	uint64_t more = wanted->memory_max_bytes / 2 + GRPC_ANSWER_MORE_BYTES;

	return wanted->memory_max_bytes +
	       (more < wanted->receive_max_bytes ? more : wanted->receive_max_bytes);
}

int over_grpc_new(const struct transport_options *wanted, const struct over_grpc_form *form,
	struct transport **out)
{
	auto_(grpc_free_at_exit) struct grpc_transport *grpc = calloc(1, sizeof *grpc);
	const struct rpc_tls tls = {.trusted_pem = wanted->ca_pem};
	struct rpc_channel_options options = {
		.target = wanted->address,
		.tls = wanted->ca_pem ? &tls : NULL,
		.receive_max_bytes = wanted->receive_max_bytes,
		.keepalive_ms = TRANSPORT_KEEPALIVE_MS,
		.keepalive_timeout_ms = TRANSPORT_KEEPALIVE_TIMEOUT_MS,
		.user_agent = "flwr-native/" FLWR_RELEASE,
		.log = wanted->log,
	};
	int r;

	if (!grpc)
		return -ENOMEM;
	grpc->transport.ops = &grpc_ops;
	grpc->form = form;
	grpc->transport.receive_max_bytes = wanted->receive_max_bytes;
	if (wanted->memory_max_bytes)
		options.memory_max_bytes = large_memory(wanted);
	if (log_enabled(wanted->log, LOG_LEVEL_DEBUG))
		grpc->numbers = numbers_new(wanted->log, wanted->address);
	r = open_channel(wanted->rpc, grpc, &options, &grpc->large);
	options.own_connection = true;
	/* gRPC looks at the size when all of a message is here; memory_max_bytes bounds that. */
	options.receive_max_bytes = TRANSPORT_SMALL_BYTES + form->more_bytes;
	options.memory_max_bytes = GRPC_SMALL_MEMORY_BYTES;
	if (!r)
		r = open_channel(wanted->rpc, grpc, &options, &grpc->small);
	options.receive_max_bytes = TRANSPORT_MIDDLE_BYTES + form->more_bytes;
	options.memory_max_bytes = GRPC_MIDDLE_MEMORY_BYTES;
	if (!r)
		r = open_channel(wanted->rpc, grpc, &options, &grpc->middle);
	if (r)
		return r;
	*out = &((struct grpc_transport *)take_pointer(&grpc))->transport;
	return 0;
}
