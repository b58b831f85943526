#include "supernode/credentials.h"

#include "common/base/exit_code.h"
#include "common/keys/trust.h"
#include "common/message/launcher_auth.h"

#include <errno.h>
#include <stdlib.h>

static int load_key(const struct supernode_options *options, struct log *log, struct auth **out,
	struct reason *why)
{
	struct reason cause = {0};
	int r = auth_load(options->auth_private_key, options->auth_public_key, log, out, &cause);

	return r ? reason_exit(why, r, auth_exit_code(r), "%s", cause.text) : 0;
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
	return r;
}

void credentials_done(struct credentials *credentials)
{
	free(credentials->ca_pem);
	auth_free(credentials->key);
	trusted_free(credentials->trusted);
	launcher_auth_free(credentials->launchers);
	*credentials = (struct credentials){0};
}
