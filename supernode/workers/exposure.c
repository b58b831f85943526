#include "supernode/workers/exposure.h"

void exposure_tell(struct log *log, const char *address, bool tls, bool guarded)
{
	if (!guarded && tls)
		log_warn(log,
			"worker API: %s is open to other machines: whoever reaches it can take messages, read what is in them and answer them; use --ssl-require-client-certificate or --superexec-auth-secret-file",
			address);
	else if (!guarded)
		log_warn(log,
			"worker API: %s is open to other machines and has no TLS: whoever reaches it can take messages, read what is in them and answer them; use --ssl-certfile with --ssl-require-client-certificate, unix:PATH, or --superexec-auth-secret-file in a network of its own",
			address);
	else if (!tls)
		log_warn(log,
			"worker API: %s is open to other machines and has no TLS: whoever can read along sees messages and tokens; use --ssl-certfile, or keep it in a network of its own",
			address);
}
