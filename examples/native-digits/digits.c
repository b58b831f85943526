/*
 * One party in C: a small neural network (64 pixels, 32 hidden units, 10 digits) that learns from a
 * file of digits, which native_digits/data.py writes and the node's configuration names:
 *
 *     --node-config 'data="/var/lib/digits/mine"'
 *
 * network.py is the same in Python. Build: cc -O2 -shared -fPIC -o digits.so digits.c
 * $(pkg-config --cflags --libs flwr-app) -lm
 */
#include <flwr/clientapp.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 64, HIDDEN = 32, DIGITS = 10, BATCH = 16 };

/* ---- the digits ---- */

struct digits {
	size_t n; /* to learn from */
	size_t held_out;
	unsigned char (*rows)[PIXELS + 1]; /* n and held_out; the last byte is the digit */
};

static int digits_load(const struct flwr_context *context, struct digits *out)
{
	const char *path;
	FILE *file;
	size_t got;

	if (flwr_get_string(context->node_config, "data", &path) != 0)
		return FLWR_FAILED; /* its sentence says that "data" is missing, or no text */
	file = fopen(path, "rb");
	if (!file)
		return flwr_failf("the digits in %s: %s", path, strerror(errno));
	if (fscanf(file, "digits %zu %zu", &out->n, &out->held_out) != 2 || fgetc(file) != '\n' ||
		out->n > 1000000 || out->held_out > 1000000) {
		fclose(file);
		return flwr_failf("%s is no file of digits", path);
	}
	out->rows = calloc(out->n + out->held_out + 1, sizeof *out->rows);
	got = out->rows ? fread(out->rows, sizeof *out->rows, out->n + out->held_out, file) : 0;
	fclose(file);
	if (got == out->n + out->held_out)
		return 0;
	free(out->rows);
	return flwr_failf("%s ends after %zu digits", path, got);
}

/* ---- the network ---- */

/* Its weights, where they lie: in the reply, or in the message. */
struct network {
	float *hidden; /* PIXELS x HIDDEN */
	float *hidden_bias;
	float *out; /* HIDDEN x DIGITS */
	float *out_bias;
};

static const struct {
	const char *name;
	size_t n;
} parts[] = {{"hidden.weight", PIXELS *HIDDEN}, {"hidden.bias", HIDDEN},
	{"out.weight", HIDDEN *DIGITS}, {"out.bias", DIGITS}};

/* Read one digit: the hidden units, and how likely each of the ten is. */
static void forward(
	const struct network *net, const unsigned char *row, float *hidden, float *chance)
{
	float sum = 0, most;

	memcpy(hidden, net->hidden_bias, HIDDEN * sizeof *hidden);
	for (int i = 0; i < PIXELS; i++)
		for (int k = 0; k < HIDDEN && row[i]; k++)
			hidden[k] += (float)row[i] / 16 * net->hidden[i * HIDDEN + k];
	memcpy(chance, net->out_bias, DIGITS * sizeof *chance);
	for (int k = 0; k < HIDDEN; k++) {
		hidden[k] = fmaxf(hidden[k], 0);
		for (int d = 0; d < DIGITS; d++)
			chance[d] += hidden[k] * net->out[k * DIGITS + d];
	}
	most = chance[0];
	for (int d = 1; d < DIGITS; d++)
		most = fmaxf(most, chance[d]);
	for (int d = 0; d < DIGITS; d++)
		sum += chance[d] = expf(chance[d] - most);
	for (int d = 0; d < DIGITS; d++)
		chance[d] /= sum;
}

/* Go down the gradient of one digit, by rate of the way. */
static void learn(struct network *net, const unsigned char *row, float rate)
{
	float hidden[HIDDEN], error[DIGITS], back[HIDDEN] = {0};

	forward(net, row, hidden, error);
	error[row[PIXELS]] -= 1;
	for (int k = 0; k < HIDDEN; k++) {
		if (hidden[k] <= 0)
			continue;
		for (int d = 0; d < DIGITS; d++) {
			back[k] += error[d] * net->out[k * DIGITS + d];
			net->out[k * DIGITS + d] -= rate * hidden[k] * error[d];
		}
		net->hidden_bias[k] -= rate * back[k];
	}
	for (int d = 0; d < DIGITS; d++)
		net->out_bias[d] -= rate * error[d];
	for (int i = 0; i < PIXELS; i++)
		for (int k = 0; k < HIDDEN && row[i]; k++)
			net->hidden[i * HIDDEN + k] -= rate * back[k] * (float)row[i] / 16;
}

static void shuffle(unsigned char (*rows)[PIXELS + 1], size_t n)
{
	unsigned char other[PIXELS + 1];

	for (size_t i = n; i > 1; i--) {
		const size_t k = (size_t)rand() % i;

		memcpy(other, rows[i - 1], sizeof other);
		memcpy(rows[i - 1], rows[k], sizeof other);
		memcpy(rows[k], other, sizeof other);
	}
}

/* ---- the messages ---- */

static int train(struct flwr_call *call)
{
	struct flwr_record *arrays = flwr_dict_add(call->reply, "arrays", FLWR_ARRAYS);
	const struct flwr_record *config = flwr_dict_get(call->content, "config");
	float *weights[sizeof parts / sizeof *parts];
	struct network net;
	struct digits digits;
	double rate = 0.1;
	int64_t epochs = 1;
	size_t n;

	if (flwr_get_double(config, "lr", &rate) < 0 || flwr_get_int(config, "epochs", &epochs) < 0)
		return FLWR_FAILED;
	/* The message's weights become the reply's, and are changed there. */
	flwr_record_copy(arrays, flwr_dict_get(call->content, "arrays"));
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		weights[i] = flwr_edit_data(arrays, parts[i].name, FLWR_FLOAT32, &n);
		if (!weights[i])
			return FLWR_FAILED;
		if (n != parts[i].n)
			return flwr_failf(
				"%s has %zu numbers, not %zu", parts[i].name, n, parts[i].n);
	}
	net = (struct network){weights[0], weights[1], weights[2], weights[3]};
	if (digits_load(call->context, &digits) != 0)
		return FLWR_FAILED;
	for (int64_t epoch = 0; epoch < epochs && !flwr_stopping(call->context); epoch++) {
		shuffle(digits.rows, digits.n);
		for (size_t i = 0; i < digits.n; i++)
			learn(&net, digits.rows[i], (float)rate / BATCH);
		flwr_progress(call->context, (double)(epoch + 1) / (double)epochs, "epochs");
	}
	free(digits.rows);
	return flwr_set_int(flwr_dict_add(call->reply, "metrics", FLWR_METRICS), "num-examples",
		(int64_t)digits.n);
}

static int evaluate(struct flwr_call *call)
{
	const struct flwr_record *arrays = flwr_dict_get(call->content, "arrays");
	struct flwr_record *metrics = flwr_dict_add(call->reply, "metrics", FLWR_METRICS);
	const float *weights[sizeof parts / sizeof *parts];
	double loss = 0;
	struct network net;
	struct digits digits;
	size_t n, right = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		weights[i] = flwr_get_data(arrays, parts[i].name, FLWR_FLOAT32, &n);
		if (!weights[i])
			return FLWR_FAILED;
		if (n != parts[i].n)
			return flwr_failf(
				"%s has %zu numbers, not %zu", parts[i].name, n, parts[i].n);
	}
	/* They are only read. */
	net = (struct network){
		(float *)weights[0], (float *)weights[1], (float *)weights[2], (float *)weights[3]};
	if (digits_load(call->context, &digits) != 0)
		return FLWR_FAILED;
	for (size_t i = digits.n; i < digits.n + digits.held_out; i++) {
		const unsigned char *row = digits.rows[i];
		float hidden[HIDDEN], chance[DIGITS];
		int best = 0;

		forward(&net, row, hidden, chance);
		for (int d = 1; d < DIGITS; d++)
			best = chance[d] > chance[best] ? d : best;
		right += best == row[PIXELS];
		loss -= log(fmax((double)chance[row[PIXELS]], 1e-7));
	}
	free(digits.rows);
	n = digits.held_out ? digits.held_out : 1;
	flwr_set_double(metrics, "loss", loss / (double)n);
	flwr_set_double(metrics, "accuracy", (double)right / (double)n);
	return flwr_set_int(metrics, "num-examples", (int64_t)digits.held_out);
}

const struct flwr_clientapp *flwr_app(void)
{
	static const struct flwr_handler handlers[] = {
		{"train", train, NULL}, {"evaluate", evaluate, NULL}, {NULL, NULL, NULL}};
	static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

	return &app;
}
