# fetch-agent.sh DIRECTORY: the packages of /build/package-lock.json, exactly these, and links to their programs.
# No script of a package runs: what they would do is to copy a program that is used where it lies.
mkdir -p "$1/bin"
cp /build/package.json /build/package-lock.json "$1/"
cd "$1"
[ ! -e /build/npmrc ] || export NPM_CONFIG_USERCONFIG=/build/npmrc
# An old Node would get an old agent without a word; `engine-strict` makes that a failure.
# Not `ci`: that wants the packages for every system in the lock, and not every registry has them.
npm install --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier --engine-strict \
  --cache /build/cache --loglevel error
node /build/check-lock.js
while read -r pattern; do
  # A pattern may match nothing: packages differ by processor.
  rm -rf node_modules/$pattern
done </build/unneeded
while read -r name patterns; do
  found=
  for pattern in $patterns; do
    for file in node_modules/$pattern; do
      if [ -z "$found" ] && [ -f "$file" ]; then found=$file; fi
    done
  done
  [ -n "$found" ] || { echo "the program $name is not among the packages" >&2; exit 1; }
  chmod 0755 "$found"
  ln -s "../$found" "bin/$name"
done </build/programs
rm -rf node_modules/.package-lock.json
chmod -R a+rX "$1"
