/*
 * app_check: is a ClientApp's table one that this release can serve? Tables come from files that
 * were built with other headers, and by people.
 */
#include "libflwr/app/call_internal.h"
#include "libflwr/app/message_type.h"

#include <stddef.h>
#include <string.h>

#define MAJOR(version) ((version) / 10000)
#define MINOR(version) ((version) / 100 % 100)

static int check_version(const struct flwr_clientapp *app, const char *name)
{
	const unsigned ours = FLWR_VERSION;

	if (app->size < offsetof(struct flwr_clientapp, handlers))
		return error_set(FLWR_E_VERSION,
			"%s: the size in its table is %u, not sizeof(struct flwr_clientapp)", name,
			app->size);
	if (MAJOR(app->version) != MAJOR(ours))
		return error_set(FLWR_E_VERSION,
			"%s was built against flwr/clientapp.h %u.%u, this is %u.%u", name,
			MAJOR(app->version), MINOR(app->version), MAJOR(ours), MINOR(ours));
	if (app->size < sizeof *app)
		return error_set(FLWR_E_VERSION,
			"%s: the size in its table is %u, not sizeof(struct flwr_clientapp)", name,
			app->size);
	for (size_t i = sizeof *app; i < app->size; i++) {
		if (((const unsigned char *)app)[i])
			return error_set(FLWR_E_VERSION,
				"%s wants something of flwr/clientapp.h %u.%u that this %u.%u has not",
				name, MAJOR(app->version), MINOR(app->version), MAJOR(ours),
				MINOR(ours));
	}
	return 0;
}

static int check_type(const char *type, const char *name)
{
	struct message_type parts;

	if (message_type_parse(type, &parts))
		return 0;
	return error_set(FLWR_E_ARGUMENT,
		"%s: \"%s\" is no type of messages: train, evaluate or query, alone or with .name behind it",
		name, type);
}

static int check_handler(
	const struct flwr_clientapp *app, const struct flwr_handler *handler, const char *name)
{
	int r = check_type(handler->type, name);

	if (r < 0)
		return r;
	if (!handler->handle)
		return error_set(
			FLWR_E_ARGUMENT, "%s: the handler of \"%s\" is NULL", name, handler->type);
	for (const struct flwr_handler *other = app->handlers; other < handler; other++) {
		if (message_type_equal(other->type, handler->type))
			return error_set(FLWR_E_ARGUMENT, "%s: \"%s\" has two handlers", name,
				handler->type);
	}
	return 0;
}

int app_check(const struct flwr_clientapp *app, const char *name)
{
	int r;

	if (!app)
		return error_set(FLWR_E_ARGUMENT, "%s: the ClientApp is NULL", name);
	r = check_version(app, name);
	if (r < 0)
		return r;
	if (!app->handlers)
		return error_set(FLWR_E_ARGUMENT, "%s has no handlers", name);
	for (const struct flwr_handler *handler = app->handlers; r == 0 && handler->type; handler++)
		r = check_handler(app, handler, name);
	for (const struct flwr_mod *mod = app->mods; r == 0 && mod && mod->call; mod++)
		r = mod->type ? check_type(mod->type, name) : 0;
	return r;
}
