/*
 * credentials: what TLS needs to know at either end: PEM texts, not files. Any thread.
 */
#ifndef FLWR_RPC_CREDENTIALS_H
#define FLWR_RPC_CREDENTIALS_H

/* Whether a server wants to see a certificate of its client. One that is shown is always checked
 * against the trusted ones. */
enum rpc_client_certificate {
	RPC_CLIENT_CERTIFICATE_NOT_ASKED,
	RPC_CLIENT_CERTIFICATE_ASKED, /* a client may have none */
	RPC_CLIENT_CERTIFICATE_REQUIRED
};

/* Borrowed texts; both or none of chain_pem and key_pem. */
struct rpc_tls {
	const char *trusted_pem; /* certificates that vouch for the peer; NULL: the system's for a
				    channel, none for a server */
	const char *chain_pem;   /* the own certificate, then those between it and the root; a
				    server needs one */
	const char *key_pem;     /* its private key */
	enum rpc_client_certificate client_certificate; /* servers only; to ask for one needs
							   trusted_pem */
};

#endif
