/*
 * tls: the certificates by which an address is spoken to with TLS. Main thread; blocks on the file
 * system. Knows no connection.
 */
#ifndef FLWR_LISTEN_TLS_H
#define FLWR_LISTEN_TLS_H

#include "common/base/reason.h"

#include <openssl/ssl.h>
#include <stdbool.h>

struct tls;

/* PEM files; paths are borrowed for good. */
struct tls_files {
	const char *certificate; /* the server's own, then those between it and the root */
	const char *key;
	const char *authorities; /* that clients' certificates may come from */
	bool require_client;     /* clients must show one; else none is asked for */
};

/* 0; -EINVAL and others of the files with a sentence; -ENOMEM. */
int tls_new(const struct tls_files *files, struct tls **out, struct reason *why);
void tls_free(struct tls *tls); /* NULL is fine */

/* Read the files again: connections from now on get what is in them; with another result than 0
 * what was there before. The results of tls_new(). */
int tls_reload(struct tls *tls, struct reason *why);

/* The server's end of a connection, which the caller frees: SSL_free(). NULL on no memory. */
SSL *tls_accept(struct tls *tls, int fd);

/* Why a handshake has failed, by OpenSSL's error queue, which is empty afterwards; static. */
const char *tls_failure(void);

#endif
