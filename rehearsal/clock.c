/* A clock that is ahead of the machine's by as much as a file says, for the process that preloads this.
 *
 * The date alone is another one: CLOCK_REALTIME, gettimeofday and time. Timers go by the monotonic clock and
 * keep their pace. Of what waits until a date, semaphores are set right; Python, DuckDB and libuv wait for all
 * else by the monotonic clock. The file holds the nanoseconds as a 64-bit integer and is mapped, so that a
 * change is seen at once, by every thread, without a system call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const volatile int64_t none;
static const volatile int64_t *ahead = &none;
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_wait)(sem_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("REHEARSAL_CLOCK");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *mapped;

    real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    real_wait = (int (*)(sem_t *, const struct timespec *))dlsym(RTLD_NEXT, "sem_timedwait");
    if (file < 0)
        return;
    mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        ahead = mapped;
    close(file);
}

static void shift(struct timespec *at, int64_t by)
{
    int64_t all = at->tv_nsec + by % SECOND;

    at->tv_sec += by / SECOND + (all >= SECOND) - (all < 0);
    at->tv_nsec = all >= SECOND ? all - SECOND : all < 0 ? all + SECOND : all;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int failed;

    if (real_clock == NULL) /* another library asks before this one has begun */
        real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    failed = real_clock(clock, at);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        shift(at, *ahead);
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);

    (void)zone;
    if (!failed) {
        at->tv_sec = now.tv_sec;
        at->tv_usec = now.tv_nsec / 1000;
    }
    return failed;
}

time_t time(time_t *at)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (at != NULL)
        *at = now.tv_sec;
    return now.tv_sec;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
    struct timespec really = *until;

    shift(&really, -*ahead);
    return real_wait(semaphore, &really);
}
