/*
 * settings: one check after the other; sentences that Flower has, too, are Flower's.
 */
#include "libflwr/node/settings.h"

#include "common/base/address_text.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/keys/trust.h"
#include "libflwr/app/call_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES     536870912 /* as Flower's own default */
#define MESSAGE_MAX_BYTES 2147483647
#define WAIT_MAX_S        (3650.0 * 24 * 3600)

#define CLIENT_BYTES_MIN sizeof(struct flwr_client)

int settings_client(const struct flwr_client *given, struct flwr_client *out)
{
	return table_read(given, out, sizeof *out, CLIENT_BYTES_MIN, "struct flwr_client");
}

/* ---- what answers ---- */

static int check_answerer(const struct flwr_options *options)
{
	int answerers =
		(options->client != NULL) + (options->client_fn != NULL) + (options->app != NULL);

	if (answerers == 0)
		return error_set(FLWR_E_ARGUMENT,
			"Both `client_fn` and `client` are `None`, but one is required");
	if (answerers == 1)
		return 0;
	return options->app
		       ? error_set(FLWR_E_ARGUMENT,
				 "client, client_fn and app: only one of them is allowed")
		       : error_set(FLWR_E_ARGUMENT,
				 "Both `client_fn` and `client` are provided, but only one is allowed");
}

static int read_answerer(const struct flwr_options *options, struct settings *out)
{
	int r = check_answerer(options);

	if (r == 0 && options->client)
		r = settings_client(options->client, &out->client);
	if (r == 0 && options->app)
		r = app_check(options->app, "options.app");
	out->numpy = options->numpy != 0;
	out->has_client = options->client != NULL;
	out->client_fn = options->client_fn;
	out->client_user = options->client_user;
	out->app = options->app;
	return r;
}

/* ---- the way to the server ---- */

static int read_transport(const struct flwr_options *options, struct settings *out)
{
	static const char *const transports[] = {"grpc-bidi", "grpc-rere", "grpc-adapter", "rest"};
	const char *wanted = options->transport ? options->transport : transports[0];

	for (size_t i = 0; i < ARRAY_LEN(transports); i++) {
		if (strcmp(wanted, transports[i]) != 0)
			continue;
		out->bidi = i == 0;
		out->transport = transports[i];
		return 0;
	}
	return error_set(FLWR_E_ARGUMENT,
		"Unknown transport type: %.100s (possible: ['grpc-bidi', 'grpc-rere', 'grpc-adapter', 'rest'])",
		wanted);
}

static bool has_certificates(const struct flwr_options *options)
{
	return options->root_certificates_path || options->root_certificates_pem;
}

/* Decide about TLS; a scheme before the address has a word in it. */
static int check_tls(const struct flwr_options *options, enum address_scheme scheme, bool *tls_out)
{
	if (options->tls < FLWR_TLS_DEFAULT || options->tls > FLWR_TLS_OFF)
		return error_set(FLWR_E_ARGUMENT, "options.tls is %d, which is no enum flwr_tls",
			(int)options->tls);
	if (options->root_certificates_path && options->root_certificates_pem)
		return error_set(FLWR_E_ARGUMENT,
			"root_certificates_path and root_certificates_pem are both given: leave one out");
	if (options->tls == FLWR_TLS_OFF && has_certificates(options))
		return error_set(FLWR_E_ARGUMENT,
			"Invalid configuration: root certificates should not be provided when TLS is off. For an insecure connection, omit them, or set options.tls to FLWR_TLS_ON for a secure one.");
	if (scheme == ADDRESS_HTTP && (options->tls == FLWR_TLS_ON || has_certificates(options)))
		return error_set(FLWR_E_ARGUMENT,
			"server_address %.200s is without TLS, which root certificates or options.tls ask for: write https://",
			options->server_address);
	if (scheme == ADDRESS_HTTPS && options->tls == FLWR_TLS_OFF)
		return error_set(FLWR_E_ARGUMENT,
			"server_address %.200s is with TLS, which options.tls turns off: write http://",
			options->server_address);
	*tls_out =
		options->tls == FLWR_TLS_ON || has_certificates(options) || scheme == ADDRESS_HTTPS;
	return 0;
}

static int read_address(
	const struct flwr_options *options, struct settings *out, enum address_scheme *scheme_out)
{
	struct reason why = {0};

	if (!options->server_address)
		return error_set(FLWR_E_ARGUMENT, "server_address is missing");
	if (address_take_scheme(options->server_address, scheme_out, &out->address))
		return error_system(-ENOMEM, "server_address");
	if (address_check(out->address, false, &why))
		return error_set(FLWR_E_ARGUMENT,
			"SuperLink address (%.150s) cannot be parsed: %.300s",
			options->server_address, why.text);
	if (strcmp(out->transport, "rest") == 0 && *scheme_out != ADDRESS_HTTP &&
		*scheme_out != ADDRESS_HTTPS)
		return error_set(FLWR_E_ARGUMENT,
			"When using the REST API, please provide `https://` or `http://` before the server address (e.g. `http://127.0.0.1:8080`)");
	return 0;
}

static int read_numbers(const struct flwr_options *options, struct settings *out)
{
	out->message_max_bytes =
		options->grpc_max_message_length ? options->grpc_max_message_length : MESSAGE_BYTES;
	if (out->message_max_bytes > MESSAGE_MAX_BYTES)
		return error_set(FLWR_E_ARGUMENT,
			"grpc_max_message_length is above %d, which no message can have",
			MESSAGE_MAX_BYTES);
	if (options->max_retries < FLWR_NEVER || isnan(options->max_wait_time))
		return error_set(FLWR_E_ARGUMENT,
			"max_retries is 0 (no limit), FLWR_NEVER or above; max_wait_time is a number of seconds");
	out->retry.max_retries = options->max_retries == 0            ? -1
				 : options->max_retries == FLWR_NEVER ? 0
								      : options->max_retries;
	out->retry.max_wait_ms =
		options->max_wait_time == 0 || options->max_wait_time > WAIT_MAX_S ? -1
		: options->max_wait_time < 0                                       ? 0
					     : clock_ms_of_s(options->max_wait_time);
	return 0;
}

static int read_server(const struct flwr_options *options, struct settings *out)
{
	int r = read_transport(options, out);

	/* Over the legacy stream come the four methods of a client only. */
	if (r == 0 && out->app && out->bidi)
		r = error_set(FLWR_E_ARGUMENT,
			"options.app needs a transport of SuperLinks: grpc-rere, grpc-adapter or rest");
	return r ? r : read_numbers(options, out);
}

/* ---- the rest ---- */

static int read_log(const struct flwr_options *options, struct settings *out)
{
	static const enum log_level levels[] = {
		[0] = LOG_LEVEL_INFO,
		[FLWR_LOG_ERROR] = LOG_LEVEL_ERROR,
		[FLWR_LOG_WARN] = LOG_LEVEL_WARN,
		[FLWR_LOG_INFO] = LOG_LEVEL_INFO,
		[FLWR_LOG_DEBUG] = LOG_LEVEL_DEBUG,
	};

	if (options->log_level < 0 || options->log_level > FLWR_LOG_DEBUG)
		return error_set(FLWR_E_ARGUMENT,
			"options.log_level is %d, which is no enum flwr_level",
			(int)options->log_level);
	out->log = options->log;
	out->log_user = options->log_user;
	out->log_level = options->log ? levels[options->log_level] : LOG_LEVEL_CRITICAL;
	return 0;
}

static int read_node_config(const struct flwr_options *options, struct settings *out)
{
	struct reason why = {0};
	int r = options->node_config ? config_parse(options->node_config, &out->node_config, &why)
				     : 0;

	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return error_system(r, "node_config");
	return error_set(r == -EINVAL ? FLWR_E_ARGUMENT : FLWR_E_FILE, "node_config: %s", why.text);
}

static int check_keys(const struct flwr_options *options)
{
	return options->authentication_key_path && options->authentication_key_pem
		       ? error_set(FLWR_E_ARGUMENT,
				 "authentication_key_path and authentication_key_pem are both given: leave one out")
		       : 0;
}

int settings_read(const struct flwr_options *options, struct settings *out)
{
	enum address_scheme scheme = ADDRESS_BARE;
	bool tls;
	int r = read_answerer(options, out);

	if (r == 0)
		r = read_server(options, out);
	if (r == 0)
		r = read_address(options, out, &scheme);
	if (r == 0)
		r = check_tls(options, scheme, &tls);
	if (r == 0)
		r = check_keys(options);
	if (r == 0)
		r = read_log(options, out);
	return r ? r : read_node_config(options, out);
}

/* ---- files ---- */

static int file_failed(int r, const char *what, const struct reason *why)
{
	if (r == -ENOMEM)
		return error_system(r, what);
	return error_set(FLWR_E_FILE, "%s: %s", what, why->text[0] ? why->text : strerror(-r));
}

static int load_certificates(const struct flwr_options *options, struct settings *out)
{
	struct reason why = {0};
	int r = options->root_certificates_pem
			? trust_take(options->root_certificates_pem, "the text", &out->ca_pem, &why)
			: trust_load(options->root_certificates_path, &out->ca_pem, &why);

	return r ? file_failed(r, "root certificates", &why) : 0;
}

static int load_key(const struct flwr_options *options, struct log *log, struct settings *out)
{
	struct reason why = {0};
	int r = 0;

	if (options->authentication_key_pem)
		r = auth_load_text(
			options->authentication_key_pem, "authentication_key_pem", &out->key, &why);
	else if (options->authentication_key_path)
		r = auth_load(options->authentication_key_path, NULL, log, &out->key, &why);
	return r ? file_failed(r, "authentication key", &why) : 0;
}

int settings_load(const struct flwr_options *options, struct log *log, struct settings *out)
{
	enum address_scheme scheme = ADDRESS_BARE;
	auto_(free_at_exit) char *bare = NULL;
	bool tls = false;
	int r = address_take_scheme(options->server_address, &scheme, &bare)
			? error_system(-ENOMEM, "server_address")
			: check_tls(options, scheme, &tls);

	if (r == 0 && tls)
		r = load_certificates(options, out);
	return r ? r : load_key(options, log, out);
}

void settings_done(struct settings *settings)
{
	free(settings->address);
	free(settings->ca_pem);
	auth_free(settings->key);
	value_map_done(&settings->node_config);
	*settings = (struct settings){0};
}
