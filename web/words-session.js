// What the page says of sessions, passwords and API keys; written as in words.js.

export const SESSION_WORDS = {
  logIn: ["Iniciar sesión", "Log in"],
  logOut: ["Cerrar la sesión", "Log out"],
  logInFirst: ["Inicie una sesión para comprar y ver lo suyo.", "Log in to buy, and to see what is yours."],
  session: ["Sesión", "Session"],
  sessionEnded: ["La sesión ha terminado. Nada se pierde: vuelva a iniciarla.", "The session has ended. Nothing is lost: log in again."],
  accountName: ["Cuenta", "Account"],
  password: ["Contraseña", "Password"],
  passwordNow: ["La de ahora", "The one until now"],
  passwordNew: ["La nueva, de 8 caracteres o más", "The new one, 8 characters or more"],
  changePassword: ["Cambiar la contraseña", "Change the password"],
  passwordChanged: ["La contraseña es otra, y las demás sesiones terminaron.", "The password is another one, and all other sessions ended."],
  change: ["Cambiar", "Change"],
  roles: {
    comprador: ["compra", "buys"],
    publicador: ["publica tokens", "publishes tokens"],
    tesorero: ["añade saldo y crea usuarios", "adds money and creates users"],
    auditor: ["audita", "audits"],
  },
  apiKeys: ["Claves de API", "API keys"],
  keyFor: ["Para qué", "What for"],
  keyOnce: ["Cópiela ahora: no se vuelve a mostrar.", "Copy it now: it is not shown again."],
  lastUse: ["usada {text}", "used {text}"],
  neverUsed: ["sin usar", "not used"],
  revoke: ["Revocar", "Revoke"],
  revokeSure: ["¿Revocar para siempre?", "Revoke for ever?"],
};
