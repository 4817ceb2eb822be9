# Разметка — HTML Телеграма. Тест сравнивает языки: те же идентификаторы, те же переменные.

## Доступ

guest = У вас пока нет доступа.
    Ваш идентификатор в Телеграме: <code>{ $user_id }</code>.
    Отправьте его администратору платформы и попросите добавить вас: <code>/allow { $user_id }</code> здесь или <code>orchestrator user add { $user_id }</code> на сервере.
guest-alert = У вас нет доступа. Ваш идентификатор: { $user_id }.

## Команды

command-new = Описать, что сделать
command-projects = Мои проекты
command-tasks = Мои последние задачи
command-status = Что сейчас в работе
command-cancel = Остановить то, что в работе
command-language = Выбрать язык
command-help = Что я умею

start = <b>Здравствуйте!</b> Опишите сервис одним предложением, а я его сделаю, проверю и запущу.
    Например: <i>Сделай сервис заметок: title, text, done:bool</i>
    { $help }
help = Пришлите предложение, и в ответ придёт ссылка на работающий сервис.
    /new <i>предложение</i>: то же самое, даже когда я жду ответа
    /projects: ваши проекты
    /tasks: последние задачи
    /status: что сейчас в работе
    /cancel: остановить
    /language: русский или английский
    Когда я о чём-то спрашиваю, нажмите кнопку или ответьте на сообщение с вопросом.
help-admin = Администратору: /users показывает людей, /allow <i>id</i> добавляет.
new-usage = После команды напишите, что сделать, например:
    <code>/new Библиотека с книгами: title, author, year:int</code>
only-text = Я понимаю только текст. Опишите словами, что сделать.
unknown-command = Я не знаю такой команды. Список — в /help.
platform-away = Платформа сейчас не отвечает. Ваше сообщение не потеряно: я продолжу, как только она вернётся.
broken = У меня что-то сломалось, запись об этом есть в журнале. Попробуйте ещё раз.
language-ask = На каком языке будем говорить?
language-chosen = Теперь говорим по-русски.
language-name-ru = Русский
language-name-en = English

projects-title = <b>Ваши проекты</b>
projects-none = Проектов пока нет. Опишите, что сделать.
project-line = <b>{ $name }</b>: { $status }
project-line-url = <b>{ $name }</b>: { $status }, { $url }
tasks-title = <b>Последние задачи</b>
tasks-none = Задач пока нет. Опишите, что сделать.
task-line = { $icon } { $title } <code>{ $id }</code>: { $state }
status-title = <b>Сейчас в работе</b>
status-idle = Сейчас ничего не выполняется.
status-line = { $icon } { $title }: { $stage }
status-platform-ok = С платформой всё в порядке.
status-platform-bad = С платформой не всё в порядке: причину администратор увидит в <code>orchestrator status</code>.
cancel-ask = Что остановить?
cancel-none = Ничего не выполняется, останавливать нечего.
cancel-button = Остановить: { $title }

users-title = <b>Люди</b>
user-line = <code>{ $user_id }</code> { $role } { $name }
users-more = … и ещё { $count }: весь список показывает <code>orchestrator user list</code>.
allow-usage = После команды напишите идентификатор человека: <code>/allow 123456789</code>
allow-done = У <code>{ $user_id }</code> теперь есть доступ.
allow-known = У <code>{ $user_id }</code> доступ уже был.

## Экран задачи

screen-accepted = 🕓 Принято: <i>{ $wish }</i>
    Всё дальнейшее будет видно в одном сообщении.
screen-head = <b>{ $project }</b>
    <i>{ $wish }</i>
screen-progress = { $head }

    { $steps }
    { $percent } %
screen-question = { $head }

    { $steps }

    ❓ <b>{ $question }</b>
    { $hint }
screen-stalled = ⚠️ Ожидание: очередь <code>{ $queue }</code> никто не обслуживает с { $since } UTC. Администратор увидит это в <code>orchestrator status</code>.
screen-done = ✅ <b>Готово: { $project }</b>
    <i>{ $wish }</i>

    { $url }
screen-failed = ❌ <b>{ $project }: не получилось</b>
    <i>{ $wish }</i>

    Остановилось на шаге: { $stage }
    { $reason }
screen-cancelled = ⏹ <b>{ $project }: остановлено</b>
    <i>{ $wish }</i>

    { $stage }
screen-refused = ❌ <b>Не удалось начать</b>
    <i>{ $wish }</i>

    { $reason }
screen-details = { $screen }

    <b>Подробности</b>
    Задача <code>{ $task_id }</code>, код <code>{ $code }</code>
    <pre>{ $error }</pre>
step-done = ✅ { $name }
step-now = 🔄 { $name }
step-later = ▫️ { $name }

stage-queued = В очереди
stage-starting = Начало
stage-started = Начало
stage-engineering = Разработка
stage-scaffolding = Проект и репозиторий
stage-developing = Написание кода
stage-testing = Проверки
stage-publishing = Публикация коммита
stage-deploy = Развёртывание
stage-analysing = Развёртывание: что нужно сервису
stage-resolving = Развёртывание: секреты
stage-allocating = Развёртывание: сервер и порт
stage-deploying = Развёртывание: установка на сервер
stage-probing = Развёртывание: проверка снаружи
stage-promoting = Развёртывание: переключение
stage-rolling-back = Развёртывание: возврат назад
stage-waiting = Ожидание ответа
stage-completed = Готово
stage-failed = Ошибка
stage-cancelled = Остановлено

## Кнопки

button-cancel = ⏹ Остановить
button-cancel-sure = Да, остановить
button-cancel-not = Нет, продолжать
button-again = 🔁 Ещё раз
button-details = 🔎 Подробности
button-dismiss = Оставить так
choice-retry = 🔁 Ещё раз
choice-stop = ⏹ Остановить
choice-approve = ✅ Разрешить

## Вопросы

question-secret = Сервису нужно значение: { $names }.
hint-secret = Ответьте значением: оно попадёт в хранилище секретов, а ваше сообщение я удалю.
hint-secret-several = Ответьте строками <code>ИМЯ=значение</code>: они попадут в хранилище секретов, а ваше сообщение я удалю.
hint-secret-group = Значения секретны: владелец сохраняет их командой <code>orchestrator secret set</code> или присылает мне <code>ИМЯ=значение</code> в личном чате.
hint-choice = Нажмите кнопку.
hint-text = Ответьте на это сообщение или нажмите кнопку, если она есть.
question-approval = Запустить эту версию { $project } сейчас? Коммит { $commit }
answer-which = Я жду сразу нескольких ответов. Ответьте на сообщение с тем вопросом, который имеете в виду, или начните новое через /new.
answer-taken = Спасибо, работа продолжается.
answer-secret-kept = 🔐 Сохранено: { $names }. Ваше сообщение удалено.
answer-secret-not-deleted = 🔐 Сохранено: { $names }. Удалить ваше сообщение <b>не получилось</b>: удалите его сами.
answer-secret-format = Не удалось разобрать. Пришлите строки <code>ИМЯ=значение</code> для: { $names }. Ваше сообщение я удалил.
answer-secret-late = Возможно, это был секрет, но его уже никто не ждёт. Я ничего не сохранил и удалил сообщение. Если это было пожелание, пришлите его с /new; если ответ, ответьте на сообщение с вопросом.
answer-secret-late-not-deleted = Возможно, это был секрет, но его уже никто не ждёт. Я ничего не сохранил, но <b>не</b> смог удалить сообщение: удалите его, пожалуйста. Если это было пожелание, пришлите его с /new; если ответ, ответьте на сообщение с вопросом.
answer-secret-group = Секреты не для групп. Я ничего не сохранил; удалите сообщение, если оно ещё здесь.
answer-secret-unnamed = Возможно, это секрет, о котором я спросил в группе. Я ничего не сохранил. Пришлите его сюда как <code>ИМЯ=значение</code>; если это было пожелание, пришлите его с /new.
message-deleted = Я удалил ваше сообщение: в нём может быть секрет.
message-not-deleted = Я <b>не</b> смог удалить ваше сообщение: если это секрет, удалите его, пожалуйста.

## Отказы

refused-closed = На этот вопрос уже ответили; считается первый ответ.
refused-not-yours = Это принадлежит другому человеку; ничего не изменилось.
refused-unknown = Для этой кнопки здесь больше ничего нет; ничего не изменилось.
refused-choice = Такого ответа нет среди возможных; ничего не изменилось.
refused-plan = План изменился с тех пор, как это было показано. Посмотрите ещё раз.
refused-ended = Это уже закончилось; ничего не изменилось.
refused-busy = Сейчас некому это принять. Ничего не потеряно: нажмите ещё раз через минуту.
refused-forged = Я не знаю такой кнопки; ничего не изменилось.
refused-later = Платформа не отвечает. Попробуйте через минуту.
refused-other = Не получилось; ничего не изменилось.
cancel-taken = Останавливаю.
again-taken = Началась новая попытка, у неё своё сообщение.

## Причины

reason-TESTS_FAILED = Собственные проверки проекта не стали зелёными.
reason-AGENT_FAILED = Агент не смог закончить.
reason-AGENT_LOST = Агент потерян.
reason-STOPPED_BY_PERSON = Вы это остановили.
reason-SCAFFOLD_FAILED = Не удалось создать проект.
reason-REPOSITORY_FOREIGN = Репозиторий принадлежит другому проекту.
reason-SECRET_MISSING = Не хватает секрета.
reason-NO_SERVER = Нет сервера, который может это принять.
reason-NO_PORT = На сервере нет свободного порта.
reason-PLAYBOOK_FAILED = Установка на сервер не удалась. Работает прежняя версия, если она была.
reason-PROBE_FAILED = Сервис не ответил снаружи как надо. Работает прежняя версия, если она была.
reason-ALREADY_EXISTS = Проект с таким именем уже есть.
reason-INVALID_INPUT = Платформа не может принять это пожелание в таком виде.
reason-NOT_ALLOWED = У вас больше нет доступа.
reason-other = Платформа сообщила об ошибке. Какой именно — в «Подробностях».
reason-code = Платформа не приняла это: код { $code }.

## Слова

state-queued = в очереди
state-running = в работе
state-waiting = ждёт ответа
state-completed = готово
state-failed = не получилось
state-cancelled = остановлено
icon-queued = 🕓
icon-running = 🔄
icon-waiting = ❓
icon-completed = ✅
icon-failed = ❌
icon-cancelled = ⏹
project-draft = черновик
project-scaffolding = создаётся
project-scaffolded = создан
project-scaffold_failed = не удалось создать
project-developing = в разработке
project-testing = на проверке
project-deploying = разворачивается
project-active = работает
project-failed = ошибка
project-archived = в архиве
role-admin = администратор
role-member = участник
role-agent = агент

# Слова пожелания, которые ничего не говорят о предмете; имена проектов делаются без них.
naming-ignored = сделай сделать создай создать напиши написать разработай построй пожалуйста мне нам сервис приложение программу api для с со который которая которое простой простую новый новую маленький
naming-nothing = servis
