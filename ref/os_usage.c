/* schedstat counts in ns, where stat has ticks of 10 ms: a measurement of a second would be off by 1 %. */
#include "os_usage.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

static uint64_t thread_ns(uint32_t pid, const char *thread)
{
	unsigned long long ns = 0;
	char path[320];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%u/task/%s/schedstat", pid, thread);
	file = fopen(path, "re");
	if (file == NULL) return 0; /* gone meanwhile */
	if (fscanf(file, "%llu", &ns) != 1) ns = 0;
	fclose(file);
	return ns;
}

static bool threads_count(uint32_t pid, struct os_usage *usage)
{
	const struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%u/task", pid);
	dir = opendir(path);
	if (dir == NULL) return false;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.') continue;
		usage->threads++;
		usage->cpu_ns += thread_ns(pid, entry->d_name);
	}
	closedir(dir);
	return true;
}

bool os_usage_of(uint32_t pid, struct os_usage *usage)
{
	unsigned long long size, resident = 0;
	char path[64];
	FILE *file;

	*usage = (struct os_usage){ 0 };
	if (!threads_count(pid, usage)) return false;
	snprintf(path, sizeof path, "/proc/%u/statm", pid);
	file = fopen(path, "re");
	if (file == NULL) return false;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2) resident = 0;
	fclose(file);
	usage->resident = resident * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}
