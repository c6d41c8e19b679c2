/* For the programs of `make SAN=1`: those that end at once do so without freeing, on
 * purpose. A value of ASAN_OPTIONS in the environment goes before this. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
    return "detect_leaks=0:abort_on_error=1";
}
