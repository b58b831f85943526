/*
 * control: the control socket between an agent and its worker (SOCK_SEQPACKET): its messages, for
 * both ends. Main thread; does not start or stop anything.
 */
#ifndef FLWR_LAUNCH_CONTROL_H
#define FLWR_LAUNCH_CONTROL_H

#include "common/launch/process.h"

#include <stdbool.h>
#include <stdint.h>

/* Knowledge that a worker needs; by this socket, since argv can be read by everyone. */
struct control_start {
	uint64_t token;
	char *task_token; /* of a message that is objects; NULL: it is inline (dialect 1 of the
			     worker API), token is all */
	char *spelling;   /* of the calls about it, by the release that first had it; NULL: that
			     of a SuperNode of this project */
	char *address;    /* of the worker API, as gRPC takes it */
	bool tls;         /* spoken there; with these PEM files, where they are not NULL: */
	char *root_certificates, *client_certificate, *client_key;
	char *flwr_home;  /* where apps are installed */
	char *command;    /* template of another worker to be kept (command.h); NULL: none */
	char *token_file; /* for the command: the token is in it; NULL: none */
	uint64_t content_max_bytes; /* that a message may take when it is written out for the app;
				       0: the worker's own default */
	int log_level;              /* enum log_level */
	bool signed_apps;           /* refuse an app that is not as it was signed */
	bool names_apps;            /* APP_START must say which app it is for: some are native */
	bool stderr_in_replies;     /* may error replies quote the stderr of an app? */
};

/* The app that a process is wanted for. Strings owned; all NULL: any of Python. */
struct control_app {
	char *fab_id;    /* "PUBLISHER/NAME" */
	char *component; /* what its pyproject.toml names as its clientapp */
	char *dir;       /* where it is installed */
	uint64_t run_id; /* 0: not known */
};

enum control_kind {
	CONTROL_START,       /* agent -> worker, first */
	CONTROL_APP_START,   /* worker -> agent: start an app process; of which app, or of Python */
	CONTROL_APP_STARTED, /* agent -> worker: our end of the socketpair */
	CONTROL_APP_STOP,    /* worker -> agent: end the app process */
	CONTROL_APP_ENDED,   /* agent -> worker: how it ended (also: could not be started) */
	CONTROL_GIVE_UP,     /* agent -> worker: answer with an error now, and end */
	CONTROL_KIND_N
};

/* A message. Only the members of its kind are set. */
struct control_message {
	enum control_kind kind;
	struct control_start start; /* strings owned */
	struct control_app app;     /* APP_START */
	int fd;                     /* APP_STARTED; owned; -1 else */
	bool native;                /* APP_STARTED: the process is no Python */
	struct process_end end;
};

void control_message_done(struct control_message *message);

/* Send one message (fd is borrowed). Never blocks: 0, -EAGAIN, -EPIPE, -errno. */
int control_send(int socket, const struct control_message *message);

/* Receive one. 1: *out is the caller's; 0: the other end has gone; -EAGAIN: none now; -EBADMSG;
 * -errno. */
int control_receive(int socket, struct control_message *out);

#endif
