/* Writes table.txt: every character whose UTS #39 skeleton is not itself, a tab,
 * and the skeleton, in UTF-8, one a line, from the data of Debian's ICU.
 *
 *   cc -o /tmp/generate generate.c -licuuc -licui18n && /tmp/generate > table.txt
 *
 * Only characters that are their own NFD are listed: Skeleton decomposes first.
 */
#include <stdio.h>
#include <string.h>
#include <unicode/unorm2.h>
#include <unicode/uspoof.h>
#include <unicode/ustring.h>

int main(void) {
	UErrorCode e = U_ZERO_ERROR;
	USpoofChecker *sc = uspoof_open(&e);
	const UNormalizer2 *nfd = unorm2_getNFDInstance(&e);
	for (UChar32 c = 0x21; c <= 0x10FFFF && U_SUCCESS(e); c++) {
		UChar s[2], d[32], k[64];
		char a[16], b[256];
		int32_t n = 0, an, bn;
		UBool bad = 0;
		if (U_IS_SURROGATE(c) || u_charType(c) == U_UNASSIGNED) continue;
		U16_APPEND(s, n, 2, c, bad);
		int32_t dn = unorm2_normalize(nfd, s, n, d, 32, &e);
		if (dn != n || memcmp(s, d, n * sizeof *s)) continue;
		int32_t kn = uspoof_getSkeleton(sc, 0, s, n, k, 64, &e);
		if (kn == n && !memcmp(s, k, n * sizeof *s)) continue;
		u_strToUTF8(a, sizeof a, &an, s, n, &e);
		u_strToUTF8(b, sizeof b, &bn, k, kn, &e);
		printf("%.*s\t%.*s\n", an, a, bn, b);
	}
	if (U_FAILURE(e)) fprintf(stderr, "%s\n", u_errorName(e));
	return U_FAILURE(e);
}
