#include "raw.h"

#include <arpa/inet.h>
#include <sys/socket.h>

void put(struct raw *raw, const void *bytes, size_t len)
{
	assert_true(len <= sizeof raw->out - raw->out_len);
	memcpy(raw->out + raw->out_len, bytes, len);
	raw->out_len += len;
}

void put_frame(struct raw *raw, uint8_t type, uint8_t flags, const void *bytes, size_t len)
{
	uint8_t stream = type == FRAME_SETTINGS ? 0 : raw->stream;
	uint8_t head[FRAME_HEAD_BYTES] = {
		0, (uint8_t)(len >> 8), (uint8_t)len, type, flags, 0, 0, 0, stream};

	put(raw, head, sizeof head);
	put(raw, bytes, len);
}

/* A header field that is not to be indexed, in HPACK. */
static size_t field(uint8_t *at, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);

	at[0] = 0;
	at[1] = (uint8_t)name_len;
	memcpy(at + 2, name, name_len);
	at[2 + name_len] = (uint8_t)value_len;
	memcpy(at + 3 + name_len, value, value_len);
	return 3 + name_len + value_len;
}

/* A field whose value has len bytes, more than fit into one of its length. */
size_t long_field(uint8_t *at, const char *name, size_t len)
{
	size_t head = field(at, name, "") - 1, rest = len - 127;

	if (len < 127) {
		at[head++] = (uint8_t)len;
	} else {
		at[head++] = 127;
		for (; rest >= 128; rest >>= 7)
			at[head++] = (uint8_t)(rest | 128);
		at[head++] = (uint8_t)rest;
	}
	memset(at + head, 'y', len);
	return head + len;
}

void put_opening(struct raw *raw)
{
	put(raw, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	put_frame(raw, FRAME_SETTINGS, 0, "", 0);
}

size_t head_block(uint8_t *block, const char *method, const char *encoding)
{
	size_t len = 2;
	char path[64];

	memcpy(block, "\x83\x86", len); /* POST, http */
	snprintf(path, sizeof path, "/test.Service/%s", method);
	len += field(block + len, ":path", path);
	len += field(block + len, ":authority", "localhost");
	len += field(block + len, "te", "trailers");
	len += field(block + len, "content-type", "application/grpc");
	if (encoding)
		len += field(block + len, "grpc-encoding", encoding);
	return len;
}

void put_head(struct raw *raw, const char *method, uint8_t flags, const char *encoding)
{
	uint8_t block[512];
	size_t len = head_block(block, method, encoding);

	if (raw->stream == 1)
		put_opening(raw);
	put_frame(raw, FRAME_HEADERS, END_HEADERS | flags, block, len);
}

void put_text(struct raw *raw, uint8_t flags, const char *text, size_t len)
{
	put_frame(raw, FRAME_DATA, flags, text, len);
}

void raw_send(struct raw *raw)
{
	/* It may have been thrown out already. */
	ssize_t n = send(raw->fd, raw->out, raw->out_len, MSG_NOSIGNAL);

	assert_true(n == (ssize_t)raw->out_len || errno == EPIPE || errno == ECONNRESET);
	raw->out_len = 0;
}

void raw_open(struct raw *raw, struct world *world)
{
	*raw = (struct raw){.world = world, .fd = world_connect(world, 0), .stream = 1};
}

void raw_close(struct raw *raw)
{
	close_fd(&raw->fd);
	rpc_server_peer_gone(raw->world->server, &raw->world->peers[0]);
}

void raw_receive(struct raw *raw)
{
	ssize_t n =
		recv(raw->fd, raw->in + raw->in_len, sizeof raw->in - raw->in_len, MSG_DONTWAIT);

	if (n > 0)
		raw->in_len += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		raw->ended = true;
}

/* Has the server sent text? */
bool raw_got(const struct raw *raw, const char *text)
{
	return memmem(raw->in, raw->in_len, text, strlen(text));
}

/* Until the server has sent text. */
void raw_expect(struct raw *raw, const char *text)
{
	kit_loop_until(raw->world->loop, (raw_receive(raw), raw->ended) || raw_got(raw, text));
	assert_true(raw_got(raw, text));
}

void expect_works(struct world *world)
{
	struct rpc_channel *channel = world_channel(world, 1);
	struct answer answer = {0};

	call_run(world, channel, "Echo", body_of(1000), &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	answer_done(&answer);
	rpc_channel_free(channel);
	rpc_server_peer_gone(world->server, &world->peers[1]);
}

void expect_refusal(
	const struct world *world, const char *method, enum outcome outcome, const char *details)
{
	assert_int_equal(world->refusal.n, 1);
	assert_ptr_equal(world->refusal.peer, &world->peers[0]);
	assert_string_equal(world->refusal.method, method);
	assert_int_equal(world->refusal.outcome, outcome);
	assert_string_equal(world->refusal.details, details);
}
