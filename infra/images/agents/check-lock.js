// What npm has installed here is what /build/package-lock.json says: versions and hashes.
// A registry may lack packages for other processors, so the lock need not have all of those: what is optional and not
// in it has at least the version that a package of the lock names.
const lock = require(`${process.argv[2] || "/build"}/package-lock.json`).packages;
const installed = require(`${process.cwd()}/node_modules/.package-lock.json`).packages;
const exact = (wanted) => (wanted.startsWith("npm:") ? wanted.split("@").pop() : wanted);
const named = new Set(
  Object.values(lock).flatMap((one) =>
    Object.entries(one.optionalDependencies || {}).map(([name, wanted]) => `${name}@${exact(wanted)}`),
  ),
);
for (const [place, one] of Object.entries(installed)) {
  const locked = lock[place];
  const fits = locked
    ? locked.version === one.version && locked.integrity === one.integrity
    : one.optional && named.has(`${place.split("node_modules/").pop()}@${one.version}`);
  if (!fits) {
    console.error(`${place} ${one.version} is not what the lock says: run "make lock-agents"`);
    process.exit(1);
  }
}
