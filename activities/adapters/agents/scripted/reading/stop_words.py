"""Words that are never the noun of a wish, in English and Russian."""

_WORDS = """
make create build write develop want need would like i we me us you please can could a an the my our some
new simple small little tiny basic service services app apps application api rest crud backend server site
website web system program tool thing things something anything project software for of with to that which
where and or in on by from is are be has have having containing called named store stores storing keep keeps
keeping track tracks tracking manage manages managing management list lists listing save saves saving cool
nice awesome great good best it its this each every one fields field following let lets add adding also
resource resources entity entities model table data database collection tracker manager catalog catalogue
bot telegram command should must
сделай сделайте создай создайте напиши напишите хочу нужен нужна нужно мне нам пожалуйста сервис сервиса
приложение приложения апи бэкенд сайт система систему программу программа проект для с со и или из в на по
где чтобы который которая которое учет учёт учета учёта учётом список списка списком каталог каталога база
базу базы хранение хранения хранить управление управления ведение ведения простой простую простое небольшой
маленький новый мой мою что-нибудь что-то крутое крутой классное полями полем поля добавь бот бота команда
командой данных телеграм телеграмм телеграм-бот телеграм-бота чат-бот чат-бота telegram-bot chatbot chat
"""
STOP_WORDS = frozenset(_WORDS.split())
