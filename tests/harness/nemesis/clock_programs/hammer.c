/* Threads that ask for the wall clock without a pause, under signals, until a line is read; fails when a time is neither true nor an hour ahead.
 * Prints how often an hour was seen and how often not. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static atomic_long seen[2];
static atomic_int over;
static int64_t zero;

static int64_t ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *ask(void *unused) {
    int64_t last = 0;
    while (!over) {
        struct timeval tv;
        int64_t mono = ns(CLOCK_MONOTONIC), off = ns(CLOCK_REALTIME) - mono - zero;
        gettimeofday(&tv, NULL), time(NULL);
        int hour = off > 1800000000000;
        if (mono < last || llabs(off - hour * 3600000000000) > 60000000000) abort();
        last = mono, seen[hour]++;
    }
    return unused;
}

static void nothing(int signal) { (void)signal, ns(CLOCK_REALTIME); }

int main(void) {
    pthread_t threads[4];
    struct itimerval often = {{0, 700}, {0, 700}};
    zero = ns(CLOCK_REALTIME) - ns(CLOCK_MONOTONIC);
    signal(SIGALRM, nothing);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, ask, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    puts("ready"), fflush(stdout);
    while (getchar() != '\n');
    over = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    printf("%ld %ld\n", (long)seen[1], (long)seen[0]);
}
