// Approvals in the app: builder A writes this file; this stands in until then.
export async function start() {}
export async function pair() {}
