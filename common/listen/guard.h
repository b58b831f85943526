/*
 * guard: what a peer of HTTP/2 may make the server hold and do, judged by the heads of the frames
 * in both directions. Pure: bytes and the time go in, a verdict comes out, the same one however the
 * bytes are split. Any thread. Knows no socket, no header and no method.
 */
#ifndef FLWR_LISTEN_GUARD_H
#define FLWR_LISTEN_GUARD_H

#include "common/listen/allowance.h"

#include <stddef.h>

#define GUARD_HEAD_BYTES  9   /* of a frame */
#define GUARD_STREAMS_MAX 100 /* open on a connection; fewer when the server announces fewer */
/*
 * Clients open so many before they know the server's limit, and send the HEADERS of all of them
 * before the first DATA. A server that announces fewer has them wait for DATA that is held back
 * behind their HEADERS.
 */
#define GUARD_STREAMS_ASSUMED 100

/* At once, and a second. */
#define GUARD_CONNECTION_STREAMS   200
#define GUARD_CONNECTION_STREAMS_S 50
#define GUARD_POOL_STREAMS         500
#define GUARD_POOL_STREAMS_S       1000
/* More than streams may be open: a client whose deadlines pass at once resets all of them. A second
 * as many as streams may be opened: each may have a deadline. */
#define GUARD_RESETS   4
#define GUARD_RESETS_S GUARD_CONNECTION_STREAMS_S
/* PING, SETTINGS, PRIORITY, unknown frames, empty DATA, frames of streams that have ended. */
#define GUARD_IDLE_FRAMES   100
#define GUARD_IDLE_FRAMES_S 20
#define GUARD_WINDOWS       400
#define GUARD_WINDOWS_S     100
/* Peers that are trusted may do so many times as much. */
#define GUARD_TRUSTED_TIMES 10

/* The same for peers that are trusted. */
#define GUARD_HEADER_BYTES                                                                         \
	16384 /* of a header block, packed; gRPC's limit is for unpacked ones                      \
	       */
#define GUARD_HEADER_FRAMES  8
#define GUARD_SETTINGS_BYTES 240
#define GUARD_GOAWAYS        3
#define GUARD_GOAWAY_BYTES   1024
#define GUARD_UNKNOWN_BYTES  16384
/* DATA frames: at once, for each stream, and one for so many bytes. */
#define GUARD_DATA_FRAMES        1000
#define GUARD_DATA_STREAM_FRAMES 16
#define GUARD_DATA_FRAME_BYTES   512

struct guard;

/* The share of all connections of a door whose peers are not trusted. Zero-initialised but for
 * streams_max. */
struct guard_pool {
	unsigned streams_max; /* open at a time */
	unsigned open;        /* streams */
	unsigned waiting;     /* connections that are held back until there is room for a stream */
	struct debt streams;
	/* The guard that may open streams although there is no room. The owner of the pool sets it;
	 * the loan ends by itself when there is room again, or that guard needs none. NULL: none
	 * may. */
	const struct guard *lent;
};

struct guard_stream {
	uint32_t id;
	bool peer_ended, server_ended;
};

/* How far the frames of one direction were read. */
struct guard_side {
	uint8_t head[GUARD_HEAD_BYTES];
	uint8_t have;  /* bytes of head */
	uint32_t left; /* bytes of the payload */
};

/* The guard of one connection, embedded. Others read why, data_bytes, streams and open. */
struct guard {
	struct guard_pool *pool;
	const char *why; /* the sentence of GUARD_CUT, static */
	/* The peer's bytes, frames and streams that have passed. */
	uint64_t bytes;      /* in all */
	uint64_t data_bytes; /* of DATA */
	uint64_t data_frames;
	uint64_t streams; /* that were opened */
	unsigned open;    /* streams now */
	bool trusted;
	bool waiting; /* counted in the pool */
	bool turn;    /* it may open a stream although others wait */
	uint8_t preface_left;
	bool begun;        /* by the peer's SETTINGS */
	bool acknowledged; /* the server's SETTINGS, by us */
	struct guard_side in, out;
	uint32_t last_id;  /* the highest stream that was opened */
	uint32_t block_id; /* the stream whose header block is not complete; 0: none */
	uint32_t block_bytes, block_frames;
	/* The server's announcements. */
	uint8_t setting[6];
	uint8_t setting_have;
	uint32_t frame_max;
	uint32_t streams_max;
	unsigned settings_out; /* of the server */
	bool announced;        /* its first SETTINGS have passed, to the last byte */
	unsigned settings_acks;
	unsigned goaways;
	uint64_t pongs;   /* that the server has asked for */
	uint64_t windows; /* WINDOW_UPDATE frames that answer what the server has sent */
	uint64_t probes;  /* PING frames that measure it */
	struct debt new_streams, resets, idle_frames, window_updates;
	struct guard_stream stream[GUARD_STREAMS_MAX];
};

enum guard_verdict {
	GUARD_PASS,
	GUARD_HOLD, /* ask again later about the bytes that were not passed, in full or with more */
	GUARD_CUT,  /* end the connection; guard->why says why */
	/* Behind the bytes that were passed the server is to be told that its SETTINGS are
	 * acknowledged (guard_acknowledgement), before it gets the others: what they limit is
	 * limited from the first stream then. */
	GUARD_ACKNOWLEDGE,
};

extern const uint8_t guard_acknowledgement[GUARD_HEAD_BYTES];

/* pool is borrowed. */
void guard_init(struct guard *guard, struct guard_pool *pool);
/* The connection has ended: its streams leave the pool. */
void guard_done(struct guard *guard);

/* The peer is trusted from now on, or no longer. */
void guard_trust(struct guard *guard, bool trusted);

/* Has the server sent all of its SETTINGS? The peer's bytes must not be asked about before. */
bool guard_is_ready(const struct guard *guard);

/* n bytes of the peer; *passed_out of them may go to the server, with GUARD_PASS all. */
enum guard_verdict guard_in(
	struct guard *guard, const uint8_t *bytes, size_t n, int64_t now_ms, size_t *passed_out);
/* n bytes of the server, on their way to the peer. */
void guard_out(struct guard *guard, const uint8_t *bytes, size_t n);
/* Are the server's bytes between two frames? */
bool guard_out_is_between(const struct guard *guard);

/* Streams that were opened, less those that time has allowed. */
double guard_new_streams(const struct guard *guard, int64_t now_ms);

/* Is there room for one more stream of a peer that is not trusted? */
bool guard_pool_has_room(struct guard_pool *pool, int64_t now_ms);

#endif
