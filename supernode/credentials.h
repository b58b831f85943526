/*
 * credentials: who this node trusts, and who it is: what the options name, read once at the start.
 * Main thread; blocks on the file system.
 */
#ifndef FLWR_SUPERNODE_CREDENTIALS_H
#define FLWR_SUPERNODE_CREDENTIALS_H

#include "common/base/log.h"
#include "common/fab/trusted.h"
#include "common/listen/tls.h"
#include "supernode/link/auth.h"
#include "supernode/supernode.h"

struct credentials {
	char *ca_pem;                    /* of SuperLinks; NULL: plain text */
	struct auth *key;                /* the operator's; NULL: the node makes its own */
	struct launcher_auth *launchers; /* NULL: they need no secret */
	struct trusted *trusted;         /* who may sign apps; NULL: they need no signature */
	struct tls *workers;             /* TLS of the worker API; NULL: plain text */
};

/* 0; -errno with a sentence, and Flower's exit code where it has one. */
int credentials_load(const struct supernode_options *options, struct log *log,
	struct credentials *out, struct reason *why);
/* Read the certificates of the worker API again, if it has any; a line says how that went. */
void credentials_reload(const struct credentials *credentials, struct log *log);
void credentials_done(struct credentials *credentials);

#endif
