/* Runs a fuzz target over the files of folders, without libFuzzer: the corpus in the ordinary
 * tests.
 *
 *     fuzz_replay_TARGET FOLDER...
 *
 * Prints the number of inputs; fails if there is none. A finding ends the process. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	uint8_t *data = malloc(INPUT_MAX), *exact;
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file || !data) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	exact = realloc(data, size + !size);
	fprintf(stderr, "%s\n", path); /* the last one named is the culprit */
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 1;
}

static int run_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[4096];
	int inputs = 0;

	if (!dir) {
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		exit(1);
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		inputs += run_file(path);
	}
	closedir(dir);
	return inputs;
}

int main(int argc, char **argv)
{
	int inputs = 0;

	for (int i = 1; i < argc; i++)
		inputs += run_folder(argv[i]);
	printf("%d inputs\n", inputs);
	return inputs == 0;
}
