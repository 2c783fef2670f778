// Every function that window leads to by names, as { path: a number that stands for its text }, and
// the names that window, functions and prototypes have. Whoever replaces or wraps one of them, or
// adds a name, changes this. What is registered under our own name is left out.
(depth) => {
  const OURS = /^fewstep/i;
  // every function has them, and its text tells what they say
  const USUAL = new Set(["length", "name", "arguments", "caller"]);
  const found = {};
  const seen = new Set([window]);
  const queue = [{ path: "window", owner: window, level: 0 }];

  // what a page shows and holds at the moment; what it can do is in prototypes
  function isContent(value) {
    if (Object.hasOwn(value, "constructor")) return false;
    if (Array.isArray(value) || ArrayBuffer.isView(value)) return true;
    return value instanceof Element || OURS.test(value.comfyClass);
  }

  function follow(path, value, level) {
    const isObject = typeof value === "function" || (typeof value === "object" && value !== null);
    if (!isObject || seen.has(value) || level > depth || isContent(value)) return;
    seen.add(value);
    queue.push({ path, owner: value, level });
  }

  function note(path, value) {
    if (typeof value !== "function") return;
    let sum = 0;
    for (const letter of Function.prototype.toString.call(value)) {
      sum = (Math.imul(sum, 31) + letter.codePointAt(0)) | 0;
    }
    found[path] = sum;
  }

  function look({ path, owner, level }, name) {
    const label = `${path}.${String(name)}`;
    const { get, set, value } = Object.getOwnPropertyDescriptor(owner, name);
    note(label, value);
    note(`${label} (get)`, get);
    note(`${label} (set)`, set);
    // document, navigator and their like
    follow(label, owner === window && get ? get.call(window) : value, level + 1);
    return label;
  }

  for (const one of queue) {
    const { path, owner, level } = one;
    // Vue's: a value that is made when it is asked for first
    if (owner.__v_isRef) {
      follow(`${path}.value`, owner.value, level);
      continue;
    }
    const isFunction = typeof owner === "function";
    const isNamed = owner === window || isFunction || Object.hasOwn(owner, "constructor");
    for (const name of Reflect.ownKeys(owner)) {
      if (OURS.test(String(name)) || (isFunction && USUAL.has(name))) continue;
      const label = look(one, name);
      if (isNamed) found[label] ??= 0;
    }
    follow(`${path}.__proto__`, Object.getPrototypeOf(owner), level);
  }
  return found;
}
