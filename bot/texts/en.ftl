# Markup is Telegram's HTML. A test compares the languages: the same ids, the same variables.

## Access

guest = You have no access yet.
    Your Telegram id is <code>{ $user_id }</code>.
    Send it to the administrator of this platform and ask to be added: <code>/allow { $user_id }</code> here, or <code>orchestrator user add { $user_id }</code> on the server.
guest-alert = You have no access. Your id is { $user_id }.

## Commands

command-new = Describe what to build
command-projects = My projects
command-tasks = My latest tasks
command-status = What is running now
command-cancel = Stop something that runs
command-language = Choose the language
command-help = What I can do

start = <b>Hello!</b> Describe a service in one sentence, and I will build, check and deploy it.
    For example: <i>Make a notes service: title, text, done:bool</i>
    { $help }
help = Send a sentence, and a running service comes back as a link.
    /new <i>sentence</i>: the same, even while I wait for an answer
    /projects: your projects
    /tasks: your latest tasks
    /status: what is running now
    /cancel: stop something
    /language: Russian or English
    When I ask something, press a button, or reply to the message in which I ask.
help-admin = For administrators: /users lists people, /allow <i>id</i> adds one.
new-usage = Write after the command what to build, for example:
    <code>/new A library with books: title, author, year:int</code>
only-text = I understand text only. Describe in words what to build.
unknown-command = I do not know this command. /help lists those that I know.
platform-away = The platform does not answer now. Your message is not lost: I will go on as soon as it is back.
broken = Something went wrong on my side; it has been written to the log. Please try again.
language-ask = In which language shall we speak?
language-chosen = We speak English now.
language-name-ru = Русский
language-name-en = English

projects-title = <b>Your projects</b>
projects-none = There are no projects yet. Describe what to build.
project-line = <b>{ $name }</b>: { $status }
project-line-url = <b>{ $name }</b>: { $status }, { $url }
tasks-title = <b>Latest tasks</b>
tasks-none = There are no tasks yet. Describe what to build.
task-line = { $icon } { $title } <code>{ $id }</code>: { $state }
status-title = <b>Running now</b>
status-idle = Nothing is running.
status-line = { $icon } { $title }: { $stage }
status-platform-ok = The platform is well.
status-platform-bad = The platform is not well: an administrator sees the reason in <code>orchestrator status</code>.
cancel-ask = What shall be stopped?
cancel-none = Nothing is running, so there is nothing to stop.
cancel-button = Stop: { $title }

users-title = <b>People</b>
user-line = <code>{ $user_id }</code> { $role } { $name }
users-more = … and { $count } more: <code>orchestrator user list</code> lists all.
allow-usage = Write the person's id after the command: <code>/allow 123456789</code>
allow-done = <code>{ $user_id }</code> has access now.
allow-known = <code>{ $user_id }</code> has had access before.

## The screen of a task

screen-accepted = 🕓 Accepted: <i>{ $wish }</i>
    One message will show everything that follows.
screen-head = <b>{ $project }</b>
    <i>{ $wish }</i>
screen-progress = { $head }

    { $steps }
    { $percent } %
screen-question = { $head }

    { $steps }

    ❓ <b>{ $question }</b>
    { $hint }
screen-stalled = ⚠️ Waiting: no worker serves the queue <code>{ $queue }</code> since { $since } UTC. An administrator can see it in <code>orchestrator status</code>.
screen-done = ✅ <b>Ready: { $project }</b>
    <i>{ $wish }</i>

    { $url }
screen-failed = ❌ <b>{ $project }: not done</b>
    <i>{ $wish }</i>

    It stopped at: { $stage }
    { $reason }
screen-cancelled = ⏹ <b>{ $project }: stopped</b>
    <i>{ $wish }</i>

    { $stage }
screen-refused = ❌ <b>Could not start</b>
    <i>{ $wish }</i>

    { $reason }
screen-details = { $screen }

    <b>Details</b>
    Task <code>{ $task_id }</code>, code <code>{ $code }</code>
    <pre>{ $error }</pre>
step-done = ✅ { $name }
step-now = 🔄 { $name }
step-later = ▫️ { $name }

stage-queued = Waiting in line
stage-starting = Starting
stage-started = Starting
stage-engineering = Development
stage-scaffolding = Project and repository
stage-developing = Writing code
stage-testing = Checks
stage-publishing = Publishing the commit
stage-deploy = Deployment
stage-analysing = Deployment: what the service needs
stage-resolving = Deployment: secrets
stage-allocating = Deployment: server and port
stage-deploying = Deployment: putting it on the server
stage-probing = Deployment: asking from outside
stage-promoting = Deployment: switching over
stage-rolling-back = Deployment: going back
stage-waiting = Waiting for an answer
stage-completed = Ready
stage-failed = Failed
stage-cancelled = Stopped

## Buttons

button-cancel = ⏹ Stop
button-cancel-sure = Yes, stop
button-cancel-not = No, go on
button-again = 🔁 Try again
button-details = 🔎 Details
button-dismiss = Leave it
choice-retry = 🔁 Try again
choice-stop = ⏹ Stop
choice-approve = ✅ Approve

## Questions

question-secret = The service needs { $names }.
hint-secret = Reply with the value: it goes to the secret store, and I delete your message.
hint-secret-several = Reply with lines <code>NAME=value</code>: they go to the secret store, and I delete your message.
hint-secret-group = Values are secret: the owner stores them with <code>orchestrator secret set</code>, or sends me <code>NAME=value</code> in the private chat.
hint-choice = Press a button.
hint-text = Reply to this message, or press a button if there is one.
question-approval = Deploy this version of { $project } now? Commit { $commit }
answer-which = I wait for several answers. Please reply to the message with the question that you mean, or use /new for something new.
answer-taken = Thank you, the work goes on.
answer-secret-kept = 🔐 Stored: { $names }. Your message is deleted.
answer-secret-not-deleted = 🔐 Stored: { $names }. I could <b>not</b> delete your message: please delete it yourself.
answer-secret-format = I could not read that. Send lines <code>NAME=value</code> for: { $names }. I have deleted your message.
answer-secret-late = That may have been a secret, and nothing waits for one any more. I stored nothing and deleted your message. If it was a wish, send it with /new; if it was an answer, reply to the message with the question.
answer-secret-late-not-deleted = That may have been a secret, and nothing waits for one any more. I stored nothing, but could <b>not</b> delete your message: please do. If it was a wish, send it with /new; if it was an answer, reply to the message with the question.
answer-secret-group = Secrets are not for groups. I stored nothing; please delete the message if it is still there.
answer-secret-unnamed = That may be the secret that I asked for in a group. I stored nothing. Send it here as <code>NAME=value</code>; if it was a wish, send it with /new.
message-deleted = I have deleted your message, since it may be a secret.
message-not-deleted = I could <b>not</b> delete your message: if it is a secret, please delete it.

## Refusals

refused-closed = This question has been answered already; the first answer counts.
refused-not-yours = This belongs to somebody else; nothing has changed.
refused-unknown = There is nothing here any more for this button; nothing has changed.
refused-choice = This is not one of the possible answers; nothing has changed.
refused-plan = The plan has changed since this was shown. Look at it again, please.
refused-ended = This has ended already; nothing has changed.
refused-busy = Nobody is there to take it right now. Nothing is lost: please press again in a minute.
refused-forged = I do not know this button; nothing has changed.
refused-later = The platform does not answer. Please try again in a minute.
refused-other = That did not work; nothing has changed.
cancel-taken = It is being stopped.
again-taken = One more attempt has begun; it has a message of its own.

## Reasons

reason-TESTS_FAILED = The project's own checks did not become green.
reason-AGENT_FAILED = The agent could not finish.
reason-AGENT_LOST = The agent was lost.
reason-STOPPED_BY_PERSON = You have stopped it.
reason-SCAFFOLD_FAILED = The project could not be generated.
reason-REPOSITORY_FOREIGN = The repository belongs to another project.
reason-SECRET_MISSING = A secret is missing.
reason-NO_SERVER = There is no server that can take it.
reason-NO_PORT = There is no free port on the server.
reason-PLAYBOOK_FAILED = Putting it on the server failed. The previous version serves, if there was one.
reason-PROBE_FAILED = The service did not answer correctly from outside. The previous version serves, if there was one.
reason-ALREADY_EXISTS = There is a project of this name already.
reason-INVALID_INPUT = The platform could not take this wish as it is.
reason-NOT_ALLOWED = You have no access any more.
reason-other = The platform reported a failure. “Details” says which.
reason-code = The platform did not take it: code { $code }.

## Words

state-queued = in line
state-running = running
state-waiting = waits for an answer
state-completed = ready
state-failed = failed
state-cancelled = stopped
icon-queued = 🕓
icon-running = 🔄
icon-waiting = ❓
icon-completed = ✅
icon-failed = ❌
icon-cancelled = ⏹
project-draft = draft
project-scaffolding = being generated
project-scaffolded = generated
project-scaffold_failed = could not be generated
project-developing = in development
project-testing = in its checks
project-deploying = being deployed
project-active = online
project-failed = failed
project-archived = archived
role-admin = administrator
role-member = member
role-agent = agent

# Words of a wish that say nothing about its subject; names of projects are made without them.
naming-ignored = make build create write develop please me a an the service app application api for of with that which simple small new
naming-nothing = service
