// Passkeys on /account: asks the service what to ask the browser for, and gives it the browser's answer. What to say when
// something goes wrong stands on the page, in the rider's language.

const TRIES = 3; // the key makes it happen once, however often it arrives
const PATIENCE_MS = 15_000;

let shown = null; // the passkey that would leave this phone's guest behind, until the rider has said so

const known = Boolean(globalThis.PublicKeyCredential && navigator.credentials?.create);

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// For browsers that know passkeys and not their JSON (WebAuthn 3, 5.1.8 and 5.1.9).
function creationOptions(json) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  return {
    ...json,
    challenge: bytes(json.challenge),
    user: { ...json.user, id: bytes(json.user.id) },
    excludeCredentials: json.excludeCredentials.map((one) => ({ ...one, id: bytes(one.id) })),
  };
}

function requestOptions(json) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return { ...json, challenge: bytes(json.challenge), allowCredentials: [] };
}

function credentialJson(credential) {
  try {
    return credential.toJSON();
  } catch { // not there, or a password manager's stand-in that only looks like one
    const { response } = credential;
    const said = { clientDataJSON: text(response.clientDataJSON) };
    if (response.attestationObject) {
      said.attestationObject = text(response.attestationObject);
      said.transports = response.getTransports?.() ?? [];
    } else {
      said.authenticatorData = text(response.authenticatorData);
      said.signature = text(response.signature);
      said.userHandle = response.userHandle ? text(response.userHandle) : null;
    }
    return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response: said };
  }
}

// The service's answer, or an error whose kind is that of its problem.
async function ask(path, body) {
  const headers = { Accept: "application/json" };
  const options = { headers };
  if (body) {
    headers["Content-Type"] = "application/json";
    headers["Idempotency-Key"] = text(crypto.getRandomValues(new Uint8Array(18)));
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  }
  for (let n = 1; ; n += 1) {
    let response;
    try {
      response = await fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch (error) {
      if (n === TRIES) throw error;
      continue;
    }
    const said = await response.json();
    if (response.ok) return said;
    throw Object.assign(new Error(said.title), { kind: String(said.type).split(":").pop(), said });
  }
}

async function add() {
  const publicKey = creationOptions(await ask("/v1/passkeys/options"));
  const credential = credentialJson(await navigator.credentials.create({ publicKey }));
  await ask("/v1/passkeys", { credential });
  document.dispatchEvent(new Event("stale")); // page.js asks for this page again
}

async function signIn() {
  const publicKey = requestOptions(await ask("/v1/passkeys/sign-ins/options"));
  shown = { publicKey, credential: credentialJson(await navigator.credentials.get({ publicKey })) };
  await enter(false);
}

async function enter(leaveGuest) {
  const { publicKey, credential } = shown;
  try {
    await ask("/v1/passkeys/sign-ins", { credential, cookie: true, leave_guest: leaveGuest });
  } catch (error) {
    if (error.kind === "passkey-unknown") {
      PublicKeyCredential.signalUnknownCredential?.({ rpId: publicKey.rpId, credentialId: credential.id }).catch(() => {});
    }
    throw error;
  }
  location.assign("/account");
}

const ACTS = { add, "sign-in": signIn, leave: () => enter(true) };

function kindOf(error) {
  if (error.kind) return error.kind;
  if (error.name === "NotAllowedError" || error.name === "AbortError") return "cancelled";
  return error.name === "InvalidStateError" ? "known" : "other";
}

function say(kind) {
  const words = document.querySelector("#passkey-words");
  const said = words.querySelector(`[data-kind="${CSS.escape(kind)}"]`) ?? words.querySelector('[data-kind="other"]');
  const note = document.querySelector("#passkey-problem");
  note.querySelector("strong").textContent = said.dataset.title;
  note.querySelector("span").textContent = said.dataset.remedy;
  note.hidden = false;
  note.focus();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-passkey]");
  if (!button) return;
  document.querySelector("#passkey-problem").hidden = true;
  document.querySelector("#leave").hidden = true;
  button.disabled = true;
  button.classList.add("busy");
  try {
    await ACTS[button.dataset.passkey]();
  } catch (error) {
    const kind = kindOf(error);
    if (kind === "guest-left-behind") {
      document.querySelector("#leave").hidden = false;
      document.querySelector("#leave").focus();
    } else {
      say(kind);
    }
  } finally {
    button.disabled = false;
    button.classList.remove("busy");
  }
});

function ready() {
  if (!known) return;
  for (const button of document.querySelectorAll("[data-passkey]")) button.hidden = false;
  for (const note of document.querySelectorAll("[data-without-passkeys]")) note.hidden = true;
}

document.addEventListener("shown", ready); // says page.js when it has put another view there
ready();
