// On every page: the reader starts at the error summary, and a sign-in says
// which time zone the browser is in.
document.getElementById('problem')?.focus()
for (const field of document.querySelectorAll('[data-zone]')) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? ''
}
