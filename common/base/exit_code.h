/*
 * exit_code: the numbers that Flower's programs print when they give up ("Exit Code: 600"), as far
 * as ours give up for the same reasons. Exit statuses are others: the man pages have them. Any
 * thread. (reason_print() prints the numbers, so they are in this folder.)
 */
#ifndef FLWR_BASE_EXIT_CODE_H
#define FLWR_BASE_EXIT_CODE_H

enum exit_code {
	EXIT_CODE_NONE = 0,
	EXIT_CODE_KEYS_MISSING = 301, /* of Flower 1.15; later ones only know 302 and 303 */
	EXIT_CODE_KEY_INVALID = 302,
	EXIT_CODE_KEY_WITHOUT_TLS = 303,
	EXIT_CODE_TRUSTED_ENTITIES_INVALID = 304,
	EXIT_CODE_NO_SUPERLINK = 305, /* since 1.40 */
	EXIT_CODE_ADDRESS_INVALID = 600,
	EXIT_CODE_CERTIFICATES_WITH_INSECURE = 603,
	EXIT_CODE_PATH_INVALID = 604,
	EXIT_CODE_SERVER_CERTIFICATES_INVALID = 605,
};

/* The code's meaning in a few words; NULL for EXIT_CODE_NONE and numbers that are none of these. */
const char *exit_code_meaning(int code);

#endif
