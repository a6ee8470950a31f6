// Trusted Types: the one policy of this page. Scripts and workers come from our own origin, by address; text never
// becomes a script or markup. (The server's policy refuses everything that has not passed here.) Import this first.

type Factory = { createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown };

const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;

factory?.createPolicy("default", {
  createScriptURL(url) {
    if (new URL(url, location.href).origin !== location.origin) throw new TypeError("scripts come from this origin only");
    return url;
  },
});
