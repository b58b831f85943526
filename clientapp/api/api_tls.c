#include "clientapp/api/api_tls.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/keys/trust.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)1 << 20)

static int load(const char *option, const char *path, char **out, struct reason *why)
{
	size_t len;
	int r = path ? file_read(path, FILE_MAX_BYTES, out, &len) : 0;

	return r < 0 ? reason_code(why, r, "--%s %s cannot be read: %s", option, path, strerror(-r))
		     : 0;
}

int api_tls_load(const struct api_tls_files *files, struct api_tls *out, struct reason *why)
{
	struct reason cause = {0};
	int r = trust_load(files->root_certificates, &out->trusted_pem, &cause);

	if (r)
		return reason_code(why, r, "%s%s",
			files->root_certificates ? "--root-certificates: " : "", cause.text);
	r = load("client-certificate", files->client_certificate, &out->chain_pem, why);
	if (r == 0)
		r = load("client-key", files->client_key, &out->key_pem, why);
	if (r) {
		api_tls_done(out);
		return r;
	}
	out->tls = (struct rpc_tls){.trusted_pem = out->trusted_pem,
		.chain_pem = out->chain_pem,
		.key_pem = out->key_pem};
	return 0;
}

void api_tls_done(struct api_tls *tls)
{
	if (tls->key_pem)
		explicit_bzero(tls->key_pem, strlen(tls->key_pem));
	free(tls->trusted_pem);
	free(tls->chain_pem);
	free(tls->key_pem);
	*tls = (struct api_tls){0};
}
