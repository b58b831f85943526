#include "supernode/credentials.h"

#include "common/base/exit_code.h"
#include "common/keys/trust.h"
#include "common/message/launcher_auth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int load_key(const struct supernode_options *options, struct log *log, struct auth **out,
	struct reason *why)
{
	struct reason cause = {0};
	int r = auth_load(options->auth_private_key, options->auth_public_key, log, out, &cause);

	return r ? reason_exit(why, r, auth_exit_code(r), "%s", cause.text) : 0;
}

static int load_worker_tls(
	const struct supernode_options *options, struct tls **out, struct reason *why)
{
	struct reason cause = {0};
	int r;

	if (!options->ssl_certificate)
		return 0;
	r = tls_new(&(struct tls_files){.certificate = options->ssl_certificate,
			    .key = options->ssl_key,
			    .authorities = options->ssl_authorities,
			    .require_client = options->ssl_require_client},
		out, &cause);
	return r && cause.text[0] ? reason_exit(why, r, EXIT_CODE_SERVER_CERTIFICATES_INVALID,
					    "TLS of the worker API: %s", cause.text)
				  : r;
}

int credentials_load(const struct supernode_options *options, struct log *log,
	struct credentials *out, struct reason *why)
{
	struct reason cause = {0};
	int r = 0;

	if (!options->insecure)
		r = trust_load(options->root_certificates, &out->ca_pem, &cause);
	if (r)
		return reason_code(why, r, "%s%s",
			options->root_certificates ? "--root-certificates: " : "", cause.text);
	if (options->auth_private_key || options->auth_public_key)
		r = load_key(options, log, &out->key, why);
	if (r == 0 && options->workers_come && options->launcher_secret) {
		r = launcher_auth_load(options->launcher_secret, &out->launchers, &cause);
		if (r && r != -ENOMEM)
			return reason_code(why, r, "--superexec-auth-secret-file: %s", cause.text);
	}
	if (r == 0 && options->trusted_entities) {
		r = trusted_load(options->trusted_entities, &out->trusted, &cause);
		if (r && r != -ENOMEM)
			return reason_exit(why, r, EXIT_CODE_TRUSTED_ENTITIES_INVALID,
				"--trusted-entities: %s", cause.text);
	}
	return r ? r : load_worker_tls(options, &out->workers, why);
}

void credentials_reload(const struct credentials *credentials, struct log *log)
{
	struct reason why = {0};
	int r;

	if (!credentials->workers)
		return;
	r = tls_reload(credentials->workers, &why);
	if (r)
		log_error(log, "worker API: its certificates were not read again, and stay: %s",
			why.text[0] ? why.text : strerror(-r));
	else
		log_info(log,
			"worker API: its certificates were read again, for connections from now on");
}

void credentials_done(struct credentials *credentials)
{
	free(credentials->ca_pem);
	auth_free(credentials->key);
	trusted_free(credentials->trusted);
	launcher_auth_free(credentials->launchers);
	tls_free(credentials->workers);
	*credentials = (struct credentials){0};
}
