/*
 * A client of flwr.server.start_server that needs no SuperLink: bidi-client ADDRESS [CA.pem]. Its
 * model is one array, to which a round of training adds 1.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/records/bidi_records.h"
#include "supernode/link/bidi.h"

#include <errno.h>

#define RECEIVE_MAX 536870912 /* as start_server's own limit */
#define EXAMPLES    10        /* that it says to have trained with */

struct client {
	struct loop *loop;
	struct bidi *bidi;
	bool dismissed;
};

/* NumPy's format: a head of 128 bytes that says what follows, here four numbers. */
static const char first_model[128 + 4 * sizeof(float)] =
	"\x93NUMPY\x01\x00\x76\x00"
	"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }                                                            \n";

/* ---- replies ---- */

static void put(struct record_dict *reply, const char *name, const char *key, struct value value)
{
	bool metric = strcmp(key, "num_examples") == 0 || strcmp(key, "loss") == 0;
	struct record *record =
		record_dict_add(reply, name, metric ? RECORD_METRICS : RECORD_CONFIGS);

	value_map_set(&record->values, key, &value);
}

static struct value integer(int64_t number)
{
	return (struct value){.kind = VALUE_SINT, .i = number};
}

static void put_status(struct record_dict *reply, const char *name)
{
	struct value text = {0};

	put(reply, name, "code", integer(0));
	value_set_bytes(&text, VALUE_STRING, "ok", 2);
	value_map_set(&reply->v[reply->n - 1].values, "message", &text);
}

static void put_model(struct record_dict *reply, const char *name, struct slice bytes)
{
	struct array *array = record_add_array(record_dict_add(reply, name, RECORD_ARRAYS), "0");

	free(array->stype);
	array->stype = strdup("numpy.ndarray");
	slices_append(&array->data, bytes);
}

/* A copy of the first tensor that came, and where its numbers are. 0, or -1: it is none of ours. */
static int read_model(const struct record *arrays, struct slice *bytes, float **numbers, size_t *n)
{
	size_t len = arrays->arrays[0].data.bytes, head;
	auto_(free_at_exit) uint8_t *copy = malloc(len + 1);

	if (!copy || slices_read(&arrays->arrays[0].data, 0, copy, len) < 0)
		return -1;
	head = len < 10 ? len : 10u + copy[8] + ((size_t)copy[9] << 8);
	if (head >= len || head % sizeof(float) || (len - head) % sizeof(float) ||
		!memmem(copy, head, "'<f4'", 5))
		return -1;
	*numbers = (float *)(void *)(copy + head);
	*n = (len - head) / sizeof(float); /* one at least */
	if (slice_take(copy, len, bytes) < 0)
		return -1;
	take_pointer(&copy); /* bytes' now */
	return 0;
}

static int train(const struct record_dict *asked, struct record_dict *reply)
{
	struct slice bytes;
	float *numbers;
	size_t n;

	if (read_model(&asked->v[0], &bytes, &numbers, &n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		numbers[i] += 1;
	put_model(reply, "fitres.parameters", bytes);
	put(reply, "fitres.num_examples", "num_examples", integer(EXAMPLES));
	record_dict_add(reply, "fitres.metrics", RECORD_CONFIGS);
	put_status(reply, "fitres.status");
	return 0;
}

static int evaluate(const struct record_dict *asked, struct record_dict *reply)
{
	struct slice bytes;
	float *numbers;
	size_t n;

	if (read_model(&asked->v[0], &bytes, &numbers, &n) < 0)
		return -1;
	put(reply, "evaluateres.loss", "loss",
		(struct value){.kind = VALUE_DOUBLE, .d = numbers[0]});
	put(reply, "evaluateres.num_examples", "num_examples", integer(EXAMPLES));
	put(reply, "evaluateres.metrics", "n", integer((int64_t)n));
	put_status(reply, "evaluateres.status");
	slice_unref(&bytes);
	return 0;
}

static int get_parameters(const struct record_dict *asked, struct record_dict *reply)
{
	(void)asked;
	put_model(reply, "getparametersres.parameters",
		slice_static(first_model, sizeof first_model));
	put_status(reply, "getparametersres.status");
	return 0;
}

static int get_properties(const struct record_dict *asked, struct record_dict *reply)
{
	(void)asked;
	put(reply, "getpropertiesres.properties", "adds",
		(struct value){.kind = VALUE_DOUBLE, .d = 1});
	put_status(reply, "getpropertiesres.status");
	return 0;
}

/* ---- the stream ---- */

static void on_instruction(void *arg, struct slices *message)
{
	static int (*const handlers[BIDI_N])(const struct record_dict *, struct record_dict *) = {
		[BIDI_TRAIN] = train,
		[BIDI_EVALUATE] = evaluate,
		[BIDI_GET_PARAMETERS] = get_parameters,
		[BIDI_GET_PROPERTIES] = get_properties,
	};
	struct client *client = arg;
	auto_(record_dict_done) struct record_dict asked = {0}, reply = {0};
	auto_(slices_done) struct slices answer = {0};
	struct reason why = {0};
	enum bidi_kind kind;
	int r = -1;

	if (bidi_records_decode(message, &kind, &asked, &why) == 0) {
		reason_set(&why, "the model of this instruction is none of this client's");
		if (handlers[kind](&asked, &reply) == 0 &&
			bidi_records_encode(kind, &reply, &answer, &why) == 0)
			r = bidi_reply(client->bidi, &answer);
	}
	/* A stream that has ended takes no reply: there will be another one. */
	if (r < 0 && r != -EPIPE)
		bidi_refuse(client->bidi, why.text);
}

static void on_lost(void *arg)
{
	(void)arg; /* each instruction is answered at once */
}

static void on_ended(void *arg, enum bidi_end end, const char *details)
{
	struct client *client = arg;

	fprintf(stderr, "bidi-client: %s\n", details);
	client->dismissed = end == BIDI_DISMISSED;
	loop_stop(client->loop);
}

static double random_01(void *arg)
{
	(void)arg;
	return drand48();
}

int main(int argc, char **argv)
{
	static char pem[65536];
	struct client client = {0};
	struct log *log = log_new(2, "bidi-client", LOG_LEVEL_INFO);
	struct bidi_options options = {.log = log,
		.address = argc > 1 ? argv[1] : "",
		.ca_pem = argc > 2 ? pem : NULL,
		.receive_max_bytes = RECEIVE_MAX,
		.retry = {.max_retries = -1, .max_wait_ms = -1},
		.random01 = random_01,
		.instruction = on_instruction,
		.lost = on_lost,
		.ended = on_ended,
		.arg = &client};
	auto_(fclose_at_exit) FILE *file = argc > 2 ? fopen(argv[2], "r") : NULL;

	if (argc > 2 && (!file || fread(pem, 1, sizeof pem - 1, file) == 0))
		return 2;
	srand48(clock_now_ms() ^ getpid());
	if (loop_new(&client.loop) < 0 || rpc_new(client.loop, &options.rpc) < 0)
		return 1;
	options.loop = client.loop;
	if (bidi_new(&options, &client.bidi) == 0)
		loop_run(client.loop);
	bidi_free(client.bidi);
	rpc_free(options.rpc);
	loop_free(client.loop);
	log_free(log);
	return client.dismissed ? 0 : 1;
}
