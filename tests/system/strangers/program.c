/* Calls the app that is linked with it, and has names of its own that the library has, too. */
#include <flwr/clientapp.h>

#include <stdio.h>
#include <string.h>

int slice_ref(void);
int slice_ref(void)
{
	return 1;
}

int error_set(void);
int error_set(void)
{
	return 1;
}

static int call(const char *wrong_lr)
{
	const int64_t two = 2;
	const float start[] = {0, 0.5F};
	struct flwr_dict *content = flwr_dict_new(), *reply = flwr_dict_new();
	struct flwr_record *config = flwr_dict_add(content, "config", FLWR_CONFIGS);
	const float *w;
	int result;

	flwr_set_array(
		flwr_dict_add(content, "arrays", FLWR_ARRAYS), "w", FLWR_FLOAT32, 1, &two, start);
	if (wrong_lr != NULL)
		flwr_set_string(config, "lr", wrong_lr);
	else
		flwr_set_double(config, "lr", 0.5);
	result = flwr_clientapp_call(flwr_app(), "train", content, NULL, NULL, reply);
	w = flwr_get_data(flwr_dict_get(reply, "arrays"), "w", FLWR_FLOAT32, NULL);
	if (result == 0 && w != NULL)
		printf("w = %g %g\n", (double)w[0], (double)w[1]);
	flwr_dict_free(content);
	flwr_dict_free(reply);
	return result;
}

int main(void)
{
	if (slice_ref() + error_set() != 2 || call(NULL) != 0)
		return 1;
#ifndef WITHOUT_LR
	if (call("0.1") == 0)
		return 2;
#endif
	return flwr_version() == FLWR_VERSION ? 0 : 3;
}
