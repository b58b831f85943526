/*
 * app_handlers: handlers that apps in C of several tests have. An app includes it once; it needs
 * the public headers alone.
 */
#ifndef FLWR_KIT_APP_HANDLERS_H
#define FLWR_KIT_APP_HANDLERS_H

#include <flwr/clientapp.h>

#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Reply with the records of the message. */
static int echo(struct flwr_call *call)
{
	for (size_t i = 0; i < flwr_dict_count(call->content); i++) {
		const struct flwr_record *record = flwr_dict_at(call->content, i);

		flwr_record_copy(flwr_dict_add(call->reply, flwr_record_name(record),
					 flwr_record_kind(record)),
			record);
	}
	return 0;
}

/* Fail without a sentence. */
static int minus_one(struct flwr_call *call)
{
	(void)call;
	return -1;
}

/* Write to everything that is open, the socket to the worker too. */
static int garbage(struct flwr_call *call)
{
	(void)call;
	for (int fd = 3; fd < 64; fd++)
		send(fd, "garbage", 7, MSG_NOSIGNAL);
	return 0;
}

/* Make arrays until there is no memory for one. */
static int fill_memory(struct flwr_call *call)
{
	struct flwr_record *arrays = flwr_dict_add(call->reply, "a", FLWR_ARRAYS);
	const int64_t shape[] = {64 << 20};
	char key[16] = "";

	for (int i = 0; flwr_new_array(arrays, key, FLWR_INT8, 1, shape); i++)
		snprintf(key, sizeof key, "%d", i);
	return FLWR_FAILED;
}

/* The same, up to a limit of 1 GiB that the app has set itself. */
static int allocate(struct flwr_call *call)
{
	const struct rlimit limit = {1UL << 30, 1UL << 30};

	setrlimit(RLIMIT_AS, &limit);
	return fill_memory(call);
}

#endif
