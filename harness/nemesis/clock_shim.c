/* A wall clock that can be wrong, for one process: preloaded, it moves CLOCK_REALTIME, gettimeofday and time by what the mapped file
 * says. Monotonic time, and all timeouts that the kernel counts, stay true. The file is named by TRIBULATION_CLOCK; no file: true time.
 *
 * It holds 64-bit integers (agent/clock.py writes them). The first is 0 for true time, or the generation of the setting that is in force,
 * which stands in the slot of its parity. What is shown is a pure function of true time, so all processes of a host agree. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Shown = true + offset + what a rate of so many parts per billion too fast gained since the base + the strobe, which is on for the
 * first half of each period after the base. */
struct setting { int64_t generation, offset, base, rate, strobe, period; };
struct file { int64_t in_force; struct setting slots[2]; };

static const struct file truth;
static const struct file *clock_file = &truth;
static const int64_t second = 1000000000;
/* How often this process asked for its wall clock, for who looks through /proc/PID/mem whether it asks here at all. A lost count is no harm. */
volatile uint64_t tribulation_clock_reads;
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

static int64_t moved_by(int64_t now) {
    /* A slot is written only while the other one is in force, and no generation comes twice: one that is still in force was read whole. */
    int64_t in_force;
    struct setting s;
    while ((in_force = __atomic_load_n(&clock_file->in_force, __ATOMIC_ACQUIRE))) {
        const struct setting *slot = &clock_file->slots[in_force & 1];
        s.offset = __atomic_load_n(&slot->offset, __ATOMIC_ACQUIRE);
        s.base = __atomic_load_n(&slot->base, __ATOMIC_ACQUIRE);
        s.rate = __atomic_load_n(&slot->rate, __ATOMIC_ACQUIRE);
        s.strobe = __atomic_load_n(&slot->strobe, __ATOMIC_ACQUIRE);
        s.period = __atomic_load_n(&slot->period, __ATOMIC_ACQUIRE);
        if (in_force == __atomic_load_n(&clock_file->in_force, __ATOMIC_ACQUIRE)) break;
    }
    if (!in_force) return 0;
    int64_t since = now - s.base, by = s.offset;
    if (s.rate) by += (int64_t)((__int128)since * s.rate / second);
    if (s.period > 0 && ((since % s.period) + s.period) % s.period < s.period / 2) by += s.strobe;
    return by;
}

static void move(struct timespec *t, int64_t by) {
    int64_t ns = t->tv_sec * second + t->tv_nsec + by;
    t->tv_sec = ns / second, t->tv_nsec = ns % second;
    if (t->tv_nsec < 0) t->tv_nsec += second, t->tv_sec--;
}

int clock_gettime(clockid_t clock, struct timespec *t) {
    /* Another library's constructor may ask before ours has run. */
    int failed = real_gettime ? real_gettime(clock, t) : (int)syscall(SYS_clock_gettime, clock, t);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
    tribulation_clock_reads++;
    move(t, moved_by(t->tv_sec * second + t->tv_nsec));
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
    if (!syscall(SYS_clock_gettime, CLOCK_REALTIME, &now)) move(&t, -moved_by(now.tv_sec * second + now.tv_nsec));
    return real_timedwait(sem, &t);
}
