#include "common/base/flower_env.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <stdlib.h>
#include <string.h>

#define LOG_LEVEL_VARIABLE "FLWR_LOG_LEVEL"
#define BOTH               (FLOWER_SUPERNODE | FLOWER_CLIENTAPP)

/*
 * Variables that have no effect here. FLWR_LOG_LEVEL, FLWR_HOME, GRPC_VERBOSITY, GRPC_TRACE,
 * SSL_CERT_FILE and GRPC_DEFAULT_SSL_ROOTS_FILE_PATH hold. Of no meaning are
 * FLWR_TELEMETRY_ENABLED, FLWR_TELEMETRY_LOGGING, FLWR_TELEMETRY_PARTNER_ID (nothing is sent to
 * anybody), FLWR_DISABLE_UPDATE_CHECK (nobody is asked for updates), and those of the SuperLink
 * (FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION among them), the ServerApp and the command line of
 * Flower.
 */
static const struct {
	const char *name;
	int of;
	const char *harmless; /* the value that asks for nothing; NULL: none */
	const char *why;
} rows[] = {
	{"FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE", BOTH, "5242880",
		"arrays are cut in chunks of 5242880 bytes"},
	{"FLWR_PRIVATE_MAX_CONCURRENT_OBJ_PULLS", BOTH, NULL,
		"how many objects are pulled at once is found out"},
	{"FLWR_PRIVATE_MAX_CONCURRENT_OBJ_PUSHES", BOTH, NULL,
		"how many objects are pushed at once is found out"},
	{"FLWR_SUPEREXEC_TASK_POLL_INTERVAL", FLOWER_CLIENTAPP, NULL,
		"a SuperNode is asked every 0.1 to 1 s, or keeps the question until there is a message"},
	{"FLWR_TRACING_ENABLED", BOTH, "0", "there are no traces in this version"},
};

/* Set and not empty, or NULL. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int flower_env_log_level(const char *option, enum log_level *out)
{
	const char *value = variable(LOG_LEVEL_VARIABLE);

	if (option)
		return log_level_parse(option, out);
	if (!value || log_level_parse(value, out))
		*out = LOG_LEVEL_INFO;
	return 0;
}

void flower_env_tell(struct log *log, enum flower_program program)
{
	const char *value = variable(LOG_LEVEL_VARIABLE);
	enum log_level level;
	char shown[64];

	if (value && log_level_parse(value, &level)) {
		text_quote(value, strlen(value), shown, sizeof shown);
		log_warn(log,
			LOG_LEVEL_VARIABLE
			" %s is no level, as critical, error, warning, info and debug are",
			shown);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		value = variable(rows[i].name);
		if (!value || !(rows[i].of & (int)program) ||
			(rows[i].harmless && strcmp(value, rows[i].harmless) == 0))
			continue;
		log_warn(log, "%s has no effect: %s", rows[i].name, rows[i].why);
	}
}
