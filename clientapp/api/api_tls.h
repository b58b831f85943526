/*
 * api_tls: TLS to a SuperNode: which files it is about, and what is in them. Any thread; blocks on
 * the file system.
 */
#ifndef FLWR_API_API_TLS_H
#define FLWR_API_API_TLS_H

#include "common/base/reason.h"
#include "common/rpc/credentials.h"

/* PEM files, as the command line names them; borrowed. */
struct api_tls_files {
	const char *root_certificates; /* NULL: the system's */
	const char
		*client_certificate; /* with client_key, for SuperNodes that want one; NULL: none */
	const char *client_key;
};

/* Zero-initialised: nothing was read. */
struct api_tls {
	char *trusted_pem, *chain_pem, *key_pem;
	struct rpc_tls tls; /* of these, for a channel */
};

/* 0; -errno with a sentence that names the option. */
int api_tls_load(const struct api_tls_files *files, struct api_tls *out, struct reason *why);
/* The key is wiped. */
void api_tls_done(struct api_tls *tls);

#endif
