/*
 * exit_code: the meanings.
 */
#include "common/base/exit_code.h"

#include "common/base/cleanup.h"

#include <stddef.h>

static const struct {
	enum exit_code code;
	const char *meaning;
} meanings[] = {
	{EXIT_CODE_KEYS_MISSING, "authentication keys missing"},
	{EXIT_CODE_KEY_INVALID, "authentication key invalid"},
	{EXIT_CODE_KEY_WITHOUT_TLS, "authentication key without TLS"},
	{EXIT_CODE_TRUSTED_ENTITIES_INVALID, "trusted entities invalid"},
	{EXIT_CODE_NO_SUPERLINK, "no connection to the SuperLink"},
	{EXIT_CODE_ADDRESS_INVALID, "address invalid"},
	{EXIT_CODE_CERTIFICATES_WITH_INSECURE, "certificates together with --insecure"},
	{EXIT_CODE_PATH_INVALID, "path invalid"},
	{EXIT_CODE_SERVER_CERTIFICATES_INVALID, "server certificates invalid"},
};

const char *exit_code_meaning(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if ((int)meanings[i].code == code)
			return meanings[i].meaning;
	}
	return NULL;
}
