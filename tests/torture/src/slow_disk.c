/* Every flush of the program that this is loaded into takes SLOW_DISK_FLUSH_MS milliseconds longer, as on a disk that is slow. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_for_the_disk(void) {
    const char *told = getenv("SLOW_DISK_FLUSH_MS");
    if (told) usleep((useconds_t)(atoi(told) * 1000));
}

int fdatasync(int file) {
    wait_for_the_disk();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}

int fsync(int file) {
    wait_for_the_disk();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}
