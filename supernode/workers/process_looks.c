#include "supernode/workers/process_looks.h"

#include "common/base/cleanup.h"
#include "supernode/workers/peer_process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define SAID_BYTES 256

struct look {
	struct look *next;
	struct job job;
	struct process_looks *looks; /* waits for it */
	struct peer peer;
	struct held_tokens held; /* of the connection, if it has ended meanwhile */
	int fd;
	char said[SAID_BYTES];
	int process;
};

struct process_looks {
	struct loop *loop;
	process_looked_fn *looked;
	void *arg;
	struct look *first;
};

struct process_looks *process_looks_new(struct loop *loop, process_looked_fn *looked, void *arg)
{
	struct process_looks *looks = calloc(1, sizeof *looks);

	if (looks)
		*looks = (struct process_looks){loop, looked, arg, NULL};
	return looks;
}

static void look_run(struct job *job)
{
	struct look *look = container_of(job, struct look, job);

	look->process = peer_process_open(look->fd, look->said);
}

static void look_free(struct look *look)
{
	close_fd(&look->fd);
	held_tokens_done(&look->held);
	free(look);
}

static void look_done(struct job *job)
{
	struct look *look = container_of(job, struct look, job);
	struct process_looks *looks = look->looks;
	struct look **link = &looks->first;

	while (*link != look)
		link = &(*link)->next;
	*link = look->next;
	looks->looked(looks->arg, &look->peer, look->process < 0 ? -1 : look->process, &look->held);
	look_free(look);
}

void process_looks_begin(
	struct process_looks *looks, const struct peer *peer, int fd, const char *said)
{
	struct look *look = calloc(1, sizeof *look);

	if (!look)
		return;
	*look = (struct look){.job = {.run = look_run, .done = look_done},
		.looks = looks,
		.peer = *peer,
		.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3),
		.process = -1};
	snprintf(look->said, sizeof look->said, "%s", said ? said : "");
	if (look->fd < 0 || loop_job(looks->loop, &look->job)) {
		look_free(look);
		return;
	}
	look->next = looks->first;
	looks->first = look;
}

bool process_looks_keep(
	struct process_looks *looks, const struct peer *peer, struct held_tokens *held)
{
	struct look *look = looks ? looks->first : NULL;

	while (look && look->peer.connection != peer->connection)
		look = look->next;
	if (!look)
		return false;
	look->held = *held;
	*held = (struct held_tokens){0};
	return true;
}

void process_looks_free(struct process_looks *looks)
{
	if (!looks)
		return;
	while (looks->first)
		loop_step(looks->loop, 1000);
	free(looks);
}
