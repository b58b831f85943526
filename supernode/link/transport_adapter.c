/*
 * adapter: the Fleet API to Flower 1.39 ("grpc-adapter"): one method that carries all others, for
 * those who relay calls without knowing them. A relay may also tell a SuperNode to end.
 */
#include "common/base/cleanup.h"
#include "common/message/adapter_codec.h"
#include "supernode/link/over_grpc.h"
#include "supernode/link/transports.h"

#include <errno.h>
#include <string.h>

/* A SuperLink's words for a method that its release does not have; and those of one that does not
 * speak by the adapter. */
#define NO_METHOD  "Invalid grpc_message_name"
#define NO_ADAPTER "should be sent to a different service"

/*
 * The words for a run that does not run. From 1.33 on the adapter does not translate Flower's
 * errors into statuses: they come as UNKNOWN, with these words at their end.
 */
static bool says_not_running(const struct transport_result *result)
{
	static const char *const words[] = {"exception: Run is pending.",
		"exception: Run is starting.", "exception: Run is finished."};

	for (size_t i = 0; result->outcome == OUTCOME_UNKNOWN && i < ARRAY_LEN(words); i++)
		if (strstr(result->details, words[i]))
			return true;
	return false;
}

/* The head that was kept of an answer too large is the container's: take the content's head out. */
static void unwrap_head(struct transport_result *result)
{
	auto_(slices_done) struct slices container = slices_take(&result->body);

	if (adapter_decode_cut(&container, &result->body))
		slices_done(&result->body);
}

static void adapter_answer(const char *method, struct transport_result *result, struct text *words)
{
	auto_(adapter_answer_done) struct adapter_answer answer = {0};
	char name[96];
	int r;

	if (strstr(result->details, NO_METHOD) || strstr(result->details, NO_ADAPTER))
		result->outcome = OUTCOME_UNIMPLEMENTED;
	else if (says_not_running(result))
		result->outcome = OUTCOME_PERMISSION_DENIED;
	if (result->too_large)
		unwrap_head(result);
	if (result->outcome != OUTCOME_OK)
		return;
	r = adapter_decode(method, &result->body, &answer);
	slices_done(&result->body);
	result->told_to_end = !r && answer.told_to_end;
	if (!r && answer.named) {
		result->body = slices_take(&answer.content);
		return;
	}
	/* Whatever the container is: there is one, so the call was done. */
	result->unreadable = true;
	if (r) {
		text_printf(words, r == -ENOMEM ? "no memory for the answer's container"
						: "the answer's container could not be read");
	} else {
		text_quote(answer.name.data, answer.name.len, name, sizeof name);
		text_printf(words, "answered with %s instead of the answer to %s", name, method);
	}
	result->details = words->data ? words->data : "";
}

static int adapter_open(const struct transport_options *options, struct transport **out)
{
	static const struct over_grpc_form form = {
		.path = "/flwr.proto.GrpcAdapter/SendReceive",
		.request = adapter_encode,
		.answer = adapter_answer,
		.more_bytes = ADAPTER_HEAD_MAX_BYTES,
	};

	return over_grpc_new(options, &form, out);
}

const struct transport_kind transport_adapter = {
	.name = "gRPC by the adapter",
	.option = "grpc-adapter",
	.line = PROBE_GRPC,
	.early = true,
	.open = adapter_open,
};
