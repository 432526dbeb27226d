/* A wall clock that can be wrong, for one process: preloaded, it moves CLOCK_REALTIME, gettimeofday and time by what the mapped file
 * says. Monotonic time, and all timeouts that the kernel counts, stay true. The file is named by TRIBULATION_CLOCK; no file: true time. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "clock_setting.h"

static const struct file truth;
static const struct file *clock_file = &truth;
/* How often this process asked for its wall clock, for who looks through /proc/PID/mem whether it asks here at all. A lost count is no harm. */
volatile uint64_t tribulation_clock_reads;
/* Set from outside where the vDSO of this process is what moves its clock: what the C library says then has been moved already. */
volatile uint64_t tribulation_clock_moved_below;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_timedwait)(sem_t *, const struct timespec *);

__attribute__((constructor)) static void map_file(void) {
    const char *path = getenv("TRIBULATION_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = file < 0 ? MAP_FAILED : mmap(NULL, sizeof truth, PROT_READ, MAP_SHARED, file, 0);
    if (at != MAP_FAILED) clock_file = at;
    if (file >= 0) close(file);
    real_timedwait = (int (*)(sem_t *, const struct timespec *))dlsym(RTLD_NEXT, "sem_timedwait");
    real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *t) {
    /* Another library's constructor may ask before ours has run. */
    int failed = real_gettime ? real_gettime(clock, t) : (int)syscall(SYS_clock_gettime, clock, t);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
    tribulation_clock_reads++;
    if (!tribulation_clock_moved_below) set_ns(t, ns_of(t) + moved_by(clock_file, ns_of(t)));
    return failed;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
    struct timespec t;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t)) return -1;
    tv->tv_sec = t.tv_sec, tv->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec t;
    time_t now = clock_gettime(CLOCK_REALTIME, &t) ? (time_t)-1 : t.tv_sec;
    if (out) *out = now;
    return now;
}

/* Its deadline was computed from the moved clock, and the kernel compares it with the true one. Python's locks before 3.11 wait here. */
int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict deadline) {
    struct timespec t = *deadline, now;
    if (!syscall(SYS_clock_gettime, CLOCK_REALTIME, &now)) set_ns(&t, ns_of(&t) - moved_by(clock_file, ns_of(&now)));
    return real_timedwait(sem, &t);
}
