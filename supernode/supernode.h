/*
 * supernode: a running SuperNode: node, SuperLink, worker API and agent wired together: what the
 * node decides is done here. Main thread.
 */
#ifndef FLWR_SUPERNODE_H
#define FLWR_SUPERNODE_H

#include "common/base/reason.h"
#include "common/loop/loop.h"
#include "supernode/options.h"

struct supernode;

/* options is borrowed for as long as the supernode is there. Listens at the worker API's address.
 * 0; -errno with a sentence: nothing was started. */
int supernode_new(struct loop *loop, struct log *log, const struct supernode_options *options,
	struct supernode **out, struct reason *why);

/* Connect to the SuperLink and work until it is over; then the loop is stopped. */
void supernode_start(struct supernode *supernode);

/*
 * The first time: take no more messages, give running ones their grace, then end them; reply,
 * unregister, stop the loop. The second time: now.
 */
void supernode_stop(struct supernode *supernode);

/* As the second time, but messages at work are killed and answered with an error first, within
 * within_ms. */
void supernode_cut_short(struct supernode *supernode, int64_t within_ms);

/* The directory that it removes at its end; NULL: none. */
const char *supernode_private_dir(const struct supernode *supernode);

/* Read the certificates of the worker API again; connections that are there go on. */
void supernode_reload(struct supernode *supernode);

/* 0: stopped, or told to by the SuperLink; 1: gave up. */
int supernode_status(const struct supernode *supernode);

/* Was it asked to stop a second time? Then supernode_abandon() is all there is time for. */
bool supernode_hurried(const struct supernode *supernode);

/* Kill every process, remove what lies in the file system. The program must end right after, by
 * _exit(). */
void supernode_abandon(struct supernode *supernode);

/* After the loop has stopped by itself, or without a start. */
void supernode_free(struct supernode *supernode);

#endif
